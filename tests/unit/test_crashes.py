"""A crash at every call of every step, and the next run: as if nothing had happened."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from flask_dualmigrate.errors import PartialFailure, ScriptError
from flask_dualmigrate.revisions import BackendName, Direction

from .fakes import DOWN, UP, Calls, Killed
from .rehearsal import Rehearsal
from .trees import BOTH, MONGO, POSTGRES

IDS = ("aaaa", "bbbb", "cccc")


@pytest.fixture
def stage(tmp_path: Path) -> Rehearsal:
    return Rehearsal(tmp_path, IDS)


def _killed_everywhere(
    stage: Rehearsal,
    target: str,
    direction: Direction,
    *,
    sides: Sequence[BackendName] = BOTH,
    failing: Mapping[str, Exception] | None = None,
) -> Iterator[int]:
    """Yield after each crash of a run: one that dies a call later than the last one.

    The stores are put back before each. failing: place -> what is raised there.
    """
    before = copy.deepcopy(stage.stores)
    at = 0
    while True:
        stage.stores = copy.deepcopy(before)
        try:
            calls = Calls(kill_at=at, fail_at=failing or {})
            stage.run(target, direction, calls, sides=sides)
        except Killed:
            yield at
        except PartialFailure:
            assert failing
            return
        else:
            assert not failing
            return
        at += 1


def _never_more_than_one_apart(stage: Rehearsal) -> None:
    """Revision n+1 is not begun before both halves of n are done."""
    stands = stage.stands()
    assert len(stands[MONGO] ^ stands[POSTGRES]) <= 1
    assert len({text.split()[-1] for text in stage.open()}) <= 1


def test_a_killed_upgrade_is_carried_on(stage: Rehearsal) -> None:
    crashes = 0
    for _ in _killed_everywhere(stage, "head", UP):
        _never_more_than_one_apart(stage)

        stage.run("head", UP)

        assert stage.snapshot() == stage.expected(*IDS)
        assert stage.open() == []
        crashes += 1
    assert crashes == 2 * (2 + 3 * 8)  # two pair ids; eight calls a revision


def test_a_killed_downgrade_is_carried_on(stage: Rehearsal) -> None:
    stage.run("head", UP)
    crashes = 0
    for _ in _killed_everywhere(stage, "base", DOWN):
        _never_more_than_one_apart(stage)

        stage.run("base", DOWN)

        assert stage.snapshot() == stage.expected()
        assert stage.open() == []
        crashes += 1
    assert crashes == 2 * 3 * 8


def test_a_killed_upgrade_can_be_taken_back(stage: Rehearsal) -> None:
    for _ in _killed_everywhere(stage, "head", UP):
        stage.run("base", DOWN)

        assert stage.snapshot() == stage.expected()
        assert stage.open() == []


def test_a_killed_downgrade_can_be_taken_back(stage: Rehearsal) -> None:
    stage.run("head", UP)
    for _ in _killed_everywhere(stage, "base", DOWN):
        stage.run("head", UP)

        assert stage.snapshot() == stage.expected(*IDS)
        assert stage.open() == []


def test_a_run_that_carries_on_may_be_killed_too(stage: Rehearsal) -> None:
    for _ in _killed_everywhere(stage, "bbbb", UP):
        for _ in _killed_everywhere(stage, "bbbb", UP):
            _never_more_than_one_apart(stage)

            stage.run("bbbb", UP)

            assert stage.snapshot() == stage.expected("aaaa", "bbbb")
            assert stage.open() == []


def test_a_run_that_takes_back_may_be_killed_too(stage: Rehearsal) -> None:
    stage.run("aaaa", UP)
    for _ in _killed_everywhere(stage, "bbbb", UP):
        for _ in _killed_everywhere(stage, "aaaa", DOWN):
            stage.run("aaaa", DOWN)

            assert stage.snapshot() == stage.expected("aaaa")
            assert stage.open() == []


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    "place", ["mongo.bbbb.1", "mongo.verify bbbb", "postgres.commit bbbb"]
)
def test_an_undo_that_is_killed_is_carried_on(
    place: str, direction: Direction, stage: Rehearsal
) -> None:
    _reach(stage, direction)
    target = "bbbb" if direction is UP else "aaaa"
    failing = {place: ScriptError("x")}
    for _ in _killed_everywhere(stage, target, direction, failing=failing):
        stage.run(target, direction)

        ids = IDS[:2] if direction is UP else IDS[:1]
        assert stage.snapshot() == stage.expected(*ids)
        assert stage.open() == []


def _reach(stage: Rehearsal, direction: Direction) -> None:
    """Go to where a run in a direction over bbbb begins."""
    stage.run("aaaa" if direction is UP else "bbbb", UP)


@pytest.mark.parametrize("behind", [MONGO, POSTGRES])
def test_a_side_that_is_brought_level_may_be_killed(
    behind: BackendName, stage: Rehearsal
) -> None:
    (ahead,) = {MONGO, POSTGRES} - {behind}
    stage.run("aaaa", UP)
    stage.run("head", UP, sides=[ahead])
    for _ in _killed_everywhere(stage, "head", UP):
        stage.run("head", UP)

        assert stage.snapshot() == stage.expected(*IDS)
        assert stage.open() == []


@pytest.mark.parametrize("side", [MONGO, POSTGRES])
def test_after_a_crash_one_side_may_be_carried_on_alone(
    side: BackendName, stage: Rehearsal
) -> None:
    stage.run("aaaa", UP)
    for _ in _killed_everywhere(stage, "bbbb", UP):
        stage.run("bbbb", UP, sides=[side])
        assert "bbbb" in stage.stands()[side]

        stage.run("head", UP)

        assert stage.snapshot() == stage.expected(*IDS)
        assert stage.open() == []


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("side", BOTH)
def test_a_side_that_is_alone_is_carried_on_and_goes_both_ways_again(
    side: BackendName, direction: Direction, stage: Rehearsal
) -> None:
    """What a run left in its undo log must not pass for work of a later one."""
    alone = [side]
    stage.run("aaaa" if direction is UP else "bbbb", UP, sides=alone)
    target = "bbbb" if direction is UP else "aaaa"
    for _ in _killed_everywhere(stage, target, direction, sides=alone):
        stage.run(target, direction, sides=alone)
        assert stage.open() == []

        stage.run("base", DOWN, sides=alone)
        assert stage.snapshot()[side] == stage.expected()[side]
        stage.run("head", UP, sides=alone)
        assert stage.snapshot()[side] == stage.expected(*IDS)[side]


def test_what_a_side_went_on_from_alone_is_not_undone_under_it(
    stage: Rehearsal,
) -> None:
    stage.run("aaaa", UP)
    stage.kill("head", UP, at="postgres.statements bbbb")
    stage.run("head", UP, sides=[MONGO])

    failing = {"postgres.statements bbbb": ScriptError("no such column")}
    with pytest.raises(PartialFailure):
        stage.run("head", UP, Calls(fail_at=failing))

    assert stage.snapshot()[MONGO] == stage.expected(*IDS)[MONGO]
    assert stage.snapshot()[POSTGRES] == stage.expected("aaaa")[POSTGRES]
