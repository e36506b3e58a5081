"""kill -9 at every crash point: the next run ends as if there had been no crash."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask

from flask_dualmigrate import init
from tests.integration.conftest import Tree
from tests.support.crash.runs import chaos_seed
from tests.support.crash.sweep import Sweep
from tests.support.crash.ways import (
    DOWNGRADE,
    FAILING,
    LATELY,
    MONGO_CATCHES_UP,
    NEVER,
    OF_PARTS,
    OTHERS,
    PARTS,
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


def places(sweep: Sweep) -> dict[str, str]:
    """Return where to kill for each name: where it is reached for the last time.

    One point stands for those of its group, and it is the last of them.
    """
    if is_parted(sweep):
        return halfway(sweep.points)
    return {point.split("#")[0]: group[-1] for group in sweep.groups for point in group}


def its_own(sweep: Sweep) -> list[str]:
    """Return a point for each name that is the way's own."""
    found = places(sweep)
    assert sweep.own <= found.keys(), "not reached any more, see ways.py"
    assert not NEVER & found.keys(), "it can be a way's own now, see ways.py"
    return list(dict.fromkeys(found[name] for name in found if name in sweep.own))


def of_others(sweep: Sweep) -> list[str]:
    """Return a point for each other name: of undoing, of parts, or of the whole."""
    found, own = places(sweep), its_own(sweep)
    if is_parted(sweep):
        points = {point for name, point in found.items() if name.startswith(OF_PARTS)}
    else:
        points = {group[-1] for group in sweep.groups[undoing(sweep) :]}
    return [
        point
        for point in dict.fromkeys(found.values())
        if point in points and point not in own
    ]


def some(points: Sequence[str], number: int) -> list[str]:
    """Choose so many by chance; `make test-chaos` visits all."""
    return random.Random(chaos_seed()).sample(points, min(number, len(points)))


def halfway(points: Sequence[str]) -> dict[str, str]:
    """Choose each name at half of its visits, which every run comes to.

    How many batches two threads make is not the same each time.
    """
    visits = Counter(point.split("#")[0] for point in points)
    return {name: f"{name}#{(count + 1) // 2}" for name, count in visits.items()}


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
def test_a_kill_at_each_name_of_its_own_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    others = of_others(sweep)
    for point in (*its_own(sweep), *some(others, len(others) // 3)):
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points > 2


@pytest.mark.chaos
@swept(*LATELY, *SIDES, *OTHERS, *PARTS)
def test_a_kill_of_another_command_at_each_point_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    points = sweep.points
    if is_parted(sweep):
        points = list(halfway(points).values())
    for point in points:
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points == len(points) > 3


@pytest.mark.slow
@swept(*LATELY, *SIDES, *OTHERS, *PARTS)
def test_a_kill_of_another_command_at_some_names_loses_and_doubles_nothing(
    sweep: Sweep, record_property: Record
) -> None:
    for point in (*its_own(sweep), *some(of_others(sweep), 2)):
        sweep.visit(point)
    record_property("figures", str(sweep.figures))
    assert sweep.figures.points > 1


@swept(MONGO_CATCHES_UP)
def test_a_kill_between_the_pairing_and_the_first_entry_is_no_lost_history(
    sweep: Sweep,
) -> None:
    for point in ("mongo.pair_id.after#1", "postgres.pair_id.after#1"):
        sweep.visit(point)
    assert sweep.figures.points == 2


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
    # After a late kill, there can be fewer than two points left to kill at.
    for group in chance.sample(sweep.groups, len(sweep.groups)):
        sweep.visit_pairs([group], some=chance)
        if sweep.figures.pairs >= 2:
            break
    record_property("figures", str(sweep.figures))
    assert sweep.figures.pairs >= 2


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
