"""kill -9 at every crash point: the next run ends as if there had been no crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask

from flask_dualmigrate import init

from .conftest import Tree
from .crash_process import Nursery
from .crash_sweep import Groups, Sweep
from .crash_trees import seed, write_failing, write_one, write_two
from .crash_world import World

Words = tuple[str, ...]
Record = Callable[[str, object], None]

UP, DOWN = ("upgrade", "--yes"), ("downgrade", "base", "--yes")


@pytest.fixture
def world(
    postgres_server: psycopg.Connection, postgres_url: str, mongo_url: str
) -> Iterator[World]:
    made = World(postgres_server, postgres_url, mongo_url)
    seed(made.mongo)
    yield made
    made.close()


@pytest.fixture
def sweep(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    world: World,
    app: Flask,
    tree: Tree,
) -> Sweep:
    """A sweep of one of the ways below."""
    write, words, options = request.param
    write(tree)
    init()
    return Sweep(nursery, world, tree.root, words, **options)


def way(id: str, write: Callable[[Tree], None], words: Words, **options: Any) -> Any:
    """Return a command to be killed, on a tree; options: as Sweep takes them."""
    return pytest.param((write, words, options), id=id)


def swept(*ways: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sweep", ways, indirect=True)


UPGRADE = way("upgrade", write_two, UP)
DOWNGRADE = way("downgrade", write_two, DOWN, after=UP)
SMALL_UPGRADE = way("upgrade", write_one, UP)
SMALL_DOWNGRADE = way("downgrade", write_one, DOWN, after=UP)
FAILING = (
    way("upgrade that fails", write_failing, UP, fails_first=True),
    way("downgrade that fails", write_failing, DOWN, after=UP, fails_first=True),
)
STAMPS = (
    way("stamp", write_two, ("stamp", "head")),
    way("stamp over history", write_two, ("stamp", "base", "--yes"), after=UP),
    way(
        "stamp over a side that waits for its partner",
        write_two,
        ("stamp", "r1", "--yes", "--backend", "mongo"),
        after=UP,
        killed_at="step.side#1",
    ),
)


def each_name(groups: Groups) -> list[str]:
    """Choose points for the last time that each name is reached.

    One stands for those of its group, and it is the last of them.
    """
    last = {point.split("#")[0]: point for group in groups for point in group}
    return [group[-1] for group in groups if not set(group).isdisjoint(last.values())]


def undoing(sweep: Sweep) -> int:
    """Return the group that undoing begins with; 0 where nothing is undone."""
    begins = [
        number
        for number, group in enumerate(sweep.groups)
        if "mongo.undo.start#1" in group
    ]
    return begins[0] if begins else 0


@pytest.mark.chaos
@swept(UPGRADE, DOWNGRADE, *FAILING, *STAMPS)
def test_a_kill_at_each_crash_point_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    for point in sweep.points:
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points == len(sweep.points) > 20


@pytest.mark.slow
@swept(UPGRADE, DOWNGRADE, *FAILING, *STAMPS)
def test_a_kill_at_each_name_of_a_crash_point_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    # Until it fails, a run is like one that goes well.
    for point in each_name(sweep.groups[undoing(sweep) :]):
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points > 5


IN_DOUBT = {
    "mongo.operation.start": 0,
    "mongo.operation.begun": 1,
    "mongo.run.before": 1,
    "mongo.run.after": 1,
    "mongo.operation.applied": 1,
    "mongo.operation.done": 0,
}
"""Point on the way of an unsafe function -> decisions that a kill there asks for."""


@swept(UPGRADE, DOWNGRADE)
def test_only_a_kill_while_an_unsafe_function_is_called_asks_for_a_decision(
    sweep: Sweep,
) -> None:
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


@pytest.mark.slow
@swept(SMALL_UPGRADE, SMALL_DOWNGRADE, *FAILING)
def test_a_second_kill_while_recovering_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    groups = sweep.groups
    sweep.visit_pairs(groups[:: len(groups) // 3], every=len(groups) // 3)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.pairs >= 3


@pytest.mark.chaos
@swept(SMALL_UPGRADE, SMALL_DOWNGRADE)
def test_every_pair_of_kills_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    sweep.visit_pairs(sweep.groups)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.pairs > 100


@pytest.mark.chaos
@swept(*FAILING)
def test_pairs_of_kills_of_a_run_that_is_undone_lose_and_double_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    # Until it fails, a run is like one that goes well; of the recoveries, a part.
    sweep.visit_pairs(sweep.groups[undoing(sweep) :], every=6)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.pairs > 100
