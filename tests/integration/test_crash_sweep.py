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
from .crash_trees import seed, write_failing, write_one, write_two
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
    """Choose the last time that each point is reached, in the order of the run."""
    last = {point.split("#")[0]: point for point in points}
    return [point for point in points if point in last.values()]


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
    record_property("figures", str(sweep.figures))
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
    # Until it fails, a run is like one that goes well.
    begin = sweep.points.index("mongo.undo.start#1") if fails_first else 0
    for point in each_name(sweep.points[begin:]):
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points > 20


IN_DOUBT = {
    "mongo.operation.start": 0,
    "mongo.operation.begun": 1,
    "mongo.run.before": 1,
    "mongo.run.after": 1,
    "mongo.operation.applied": 1,
    "mongo.operation.done": 0,
}
"""Point on the way of an unsafe function -> decisions that a kill there asks for."""


@pytest.mark.parametrize("words", [UP, DOWN], ids=["upgrade", "downgrade"])
def test_only_a_kill_while_an_unsafe_function_is_called_asks_for_a_decision(
    make_sweep: MakeSweep, words: tuple[str, ...]
) -> None:
    sweep = make_sweep(write_two, words)
    call = sweep.points.index("mongo.run.before#2")
    begin = sweep.points.index("mongo.run.after#1")
    end = sweep.points.index("mongo.run.before#3")
    assert begin < call < end
    # Within these bounds the step before ends, and the one after begins.
    around = sweep.points[begin + 1 : end]
    decisions = {}
    for name in IN_DOUBT:
        which = -1 if name.endswith(("applied", "done")) else 0
        point = [each for each in around if each.startswith(f"{name}#")][which]
        before = sweep.figures.decided
        sweep.visit(point)
        decisions[name] = sweep.figures.decided - before
    assert decisions == IN_DOUBT


PAIRS = [
    pytest.param(write_one, UP, False, id="upgrade"),
    pytest.param(write_one, DOWN, False, id="downgrade"),
    pytest.param(write_failing, UP, True, id="upgrade that fails"),
    pytest.param(write_failing, DOWN, True, id="downgrade that fails"),
]


def visit_pairs(sweep: Sweep, *, first_every: int, then_every: int) -> None:
    """Visit pairs: some of the points, and after each some of those of its recovery."""
    for number, first in enumerate(sweep.points[::first_every]):
        recovery = sweep.visit(first)
        for second in recovery[number % then_every :: then_every]:
            sweep.visit(first, second)


@pytest.mark.slow
@pytest.mark.parametrize(("write", "words", "fails_first"), PAIRS)
def test_a_second_kill_while_recovering_loses_and_doubles_nothing(
    make_sweep: MakeSweep,
    write: Callable[[Tree], None],
    words: tuple[str, ...],
    fails_first: bool,
    record_property: Record,
) -> None:
    sweep = make_sweep(write, words, fails_first=fails_first)
    visit_pairs(sweep, first_every=len(sweep.points) // 3, then_every=67)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.pairs >= 3


@pytest.mark.chaos
@pytest.mark.parametrize(("write", "words", "fails_first"), PAIRS)
def test_every_pair_of_kills_loses_and_doubles_nothing(
    make_sweep: MakeSweep,
    write: Callable[[Tree], None],
    words: tuple[str, ...],
    fails_first: bool,
    record_property: Record,
) -> None:
    sweep = make_sweep(write, words, fails_first=fails_first)
    # Of the longer runs, whose pairs are twenty thousand, every ninth.
    thin = 3 if fails_first else 1
    visit_pairs(sweep, first_every=thin, then_every=thin)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.pairs > 1000
