"""kill -9 at every crash point: the next run ends as if there had been no crash."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_dualmigrate import init
from flask_dualmigrate.runtime.crashpoints import PAIRED, SINGLE
from tests.integration.conftest import Tree
from tests.support.crash.runs import Groups, chaos_seed
from tests.support.crash.sweep import Sweep
from tests.support.crash.trees import seed
from tests.support.crash.ways import (
    DOWNGRADE,
    FAILING,
    LATELY,
    MONGO_CATCHES_UP,
    OF_PARTS,
    OTHERS,
    PARTS,
    REACHING,
    SIDES,
    SMALL_DOWNGRADE,
    SMALL_UPGRADE,
    STAMPS,
    UPGRADE,
)
from tests.support.crash.world import World
from tests.support.nursery import Nursery

Record = Callable[[str, object], None]


@pytest.fixture
def sweep(
    request: pytest.FixtureRequest,
    nursery: Nursery,
    world: World,
    app: Flask,
    tree: Tree,
) -> Sweep:
    """A sweep of one of the ways of support/crash/ways.py."""
    write, words, options = request.param
    write(tree)
    init()
    return Sweep(nursery, world, tree.root, words, **options)


def swept(*ways: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sweep", ways, indirect=True)


def each_name(groups: Groups) -> list[str]:
    """Choose points for the last time that each name is reached.

    One stands for those of its group, and it is the last of them.
    """
    last = {point.split("#")[0]: point for group in groups for point in group}
    return [group[-1] for group in groups if not set(group).isdisjoint(last.values())]


def own_names(sweep: Sweep) -> list[str]:
    """Choose likewise of a run that is undone: the names that only undoing reaches.

    Of the others, which a run reaches that goes well, every third.
    """
    start = undoing(sweep)
    before = {p.split("#")[0] for group in sweep.groups[:start] for p in group}
    chosen = each_name(sweep.groups[start:])
    common = [point for point in chosen if point.split("#")[0] in before]
    return [point for point in chosen if point not in common or point in common[::3]]


def some(points: Sequence[str]) -> list[str]:
    """Choose three by chance; `make test-chaos` visits all."""
    return random.Random(chaos_seed()).sample(points, min(3, len(points)))


def halfway(points: Sequence[str]) -> list[str]:
    """Choose each name at half of its visits, which every run comes to.

    How many batches two threads make is not the same each time.
    """
    visits = Counter(point.split("#")[0] for point in points)
    return [f"{name}#{(count + 1) // 2}" for name, count in visits.items()]


def is_parted(sweep: Sweep) -> bool:
    return any(point.startswith("mongo.steps.enlist") for point in sweep.points)


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
    for point in own_names(sweep):
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points > 5


@pytest.mark.chaos
@swept(*LATELY, *SIDES, *OTHERS, *PARTS)
def test_a_kill_of_another_command_at_each_point_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    points = halfway(sweep.points) if is_parted(sweep) else sweep.points
    for point in points:
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points == len(points) > 3


@pytest.mark.slow
@swept(*LATELY)
def test_a_kill_of_another_command_at_some_names_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    points = each_name(sweep.groups[undoing(sweep) :])
    for point in some(points):
        sweep.visit(point)
    record_property("figures", str(sweep.figures))


@pytest.mark.slow
@swept(*SIDES, *OTHERS, *PARTS)
def test_a_kill_at_some_names_of_a_longer_run_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    # Of the names that all runs have, the sweeps above visit each.
    if is_parted(sweep):
        points = [p for p in halfway(sweep.points) if p.startswith(OF_PARTS)]
    else:
        points = each_name(sweep.groups[undoing(sweep) :])
    for point in some(points):
        sweep.visit(point)
    record_property("figures", str(sweep.figures))


@swept(MONGO_CATCHES_UP)
def test_a_kill_between_the_pairing_and_the_first_entry_is_no_lost_history(
    sweep: Sweep,
) -> None:
    for point in ("mongo.pair_id.after#1", "postgres.pair_id.after#1"):
        sweep.visit(point)
    assert sweep.figures.points == 2


ELSEWHERE = ("backup.", "file.", "mongo.restore.", "postgres.restore.")
"""Points of what other tests kill: backups, the tree, `restore`."""

NOT_HERE = {
    "postgres.index.swap.before",  # `index sync`, which needs models
    "postgres.index.swap.after",
    "postgres.lock.free.before",  # `unlock --force`: see test_taking
    "postgres.lock.free.after",
    "mongo.pair_anew.before",  # `repair --pair`: see test_taking
    "mongo.pair_anew.after",
    "mongo.staying.begin.before",  # a run after one that was undone
    "mongo.staying.begin.after",
    "mongo.touched.forget.before",  # an update that cannot be undone
    "mongo.touched.forget.after",
}


def test_each_declared_crash_point_is_reached_by_a_sweep(
    nursery: Nursery, world: World, app: Flask, tmp_path: Path
) -> None:
    reached: set[str] = set()
    for number, each in enumerate(REACHING):
        write, words, options = each.values[0]
        world.empty()
        seed(world.mongo)
        root = tmp_path / str(number) / "migrations"
        init(str(root))
        write(Tree(root))
        init(str(root))
        points = Sweep(nursery, world, root, words, **options).points
        reached |= {point.split("#")[0] for point in points}
    declared = {*SINGLE}
    declared |= {f"{name}.{side}" for name in PAIRED for side in ("before", "after")}
    missing = {name for name in declared - reached if not name.startswith(ELSEWHERE)}
    assert missing == NOT_HERE


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
    chance = random.Random(chaos_seed())
    sweep.visit_pairs(chance.sample(sweep.groups, 2), some=chance)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.pairs == 4


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
