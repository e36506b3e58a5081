"""kill -9 at every crash point: the next run ends as if there had been no crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest
from flask import Flask

from flask_dualmigrate import init

from .conftest import Tree
from .crash_process import Nursery
from .crash_sweep import Sweep
from .crash_trees import seed, write_failing, write_two
from .crash_world import World

UP, DOWN = ("upgrade", "--yes"), ("downgrade", "base", "--yes")
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def world(
    postgres_server: psycopg.Connection, postgres_url: str, mongo_url: str
) -> Iterator[World]:
    made = World(postgres_server, postgres_url, mongo_url)
    seed(made.mongo)
    yield made
    made.close()


def each_name(points: Sequence[str]) -> list[str]:
    """Choose the first and the last time that each point is reached."""
    first = {point.split("#")[0]: point for point in reversed(points)}
    last = {point.split("#")[0]: point for point in points}
    chosen = {*first.values(), *last.values()}
    return [point for point in points if point in chosen]


MakeSweep = Callable[..., Sweep]


@pytest.fixture
def make_sweep(nursery: Nursery, world: World, app: Flask, tree: Tree) -> MakeSweep:
    """Return a function that makes a sweep of a command on a tree."""

    def make(
        write: Callable[[Tree], None], words: tuple[str, ...], **more: bool
    ) -> Sweep:
        write(tree)
        init()
        after = UP if words == DOWN else ()
        return Sweep(nursery, world, tree.root, words, after=after, **more)

    return make


WAYS = [
    pytest.param(write_two, UP, False, id="upgrade"),
    pytest.param(write_two, DOWN, False, id="downgrade"),
    pytest.param(write_failing, UP, True, id="upgrade that fails"),
    pytest.param(write_failing, DOWN, True, id="downgrade that fails"),
]


@pytest.mark.chaos
@pytest.mark.parametrize(("write", "words", "fails_first"), WAYS)
def test_a_kill_at_each_crash_point_loses_and_doubles_nothing(
    make_sweep: MakeSweep,
    write: Callable[[Tree], None],
    words: tuple[str, ...],
    fails_first: bool,
    record_property: Record,
) -> None:
    sweep = make_sweep(write, words, fails_first=fails_first)
    for point in sweep.points:
        sweep.visit(point)
    record_property("figures", f"{' '.join(words)}: {sweep.figures}")
    assert sweep.figures.points == len(sweep.points) > 150


@pytest.mark.slow
@pytest.mark.parametrize(("write", "words", "fails_first"), WAYS)
def test_a_kill_at_each_name_of_a_crash_point_loses_and_doubles_nothing(
    make_sweep: MakeSweep,
    write: Callable[[Tree], None],
    words: tuple[str, ...],
    fails_first: bool,
    record_property: Record,
) -> None:
    sweep = make_sweep(write, words, fails_first=fails_first)
    for point in each_name(sweep.points):
        sweep.visit(point)
    record_property("figures", f"{' '.join(words)}: {sweep.figures}")
    assert sweep.figures.points > 50
