"""The executor with two fakes: failures in each place, and what they leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from flask_dualmigrate.backend import Backend
from flask_dualmigrate.backend.journal import Entry
from flask_dualmigrate.errors import (
    DatabaseUnavailable,
    IntegrityError,
    LockLost,
    OutcomeUnknown,
    PartialFailure,
    ScriptError,
    StepInDoubt,
)
from flask_dualmigrate.revisions import BackendName, Direction, Revision, Status, Step
from flask_dualmigrate.run.executor import Executor, StepResult
from flask_dualmigrate.run.plan import make_plan

from .fakes import DOWN, OPERATIONS, UP, Calls, FakeMongo, FakePostgres, Store
from .rehearsal import Rehearsal
from .trees import BOTH, MONGO, POSTGRES

IDS = ("aaaa", "bbbb", "cccc")


@pytest.fixture
def stage(tmp_path: Path) -> Rehearsal:
    """Both databases at aaaa, of three revisions."""
    stage = Rehearsal(tmp_path, IDS)
    stage.run("aaaa", UP)
    return stage


def test_a_run_does_each_revision_on_both_sides_before_the_next(
    stage: Rehearsal,
) -> None:
    calls = Calls()

    results = stage.run("head", UP, calls)

    assert [result.step.revision.id for result in results] == ["bbbb", "cccc"]
    assert calls.log == [
        *("mongo.begin bbbb", "mongo.bbbb.0", "mongo.bbbb.1", "mongo.verify bbbb"),
        *("mongo.finish bbbb", "postgres.statements bbbb", "postgres.commit bbbb"),
        "mongo.settle bbbb",
        *("mongo.begin cccc", "mongo.cccc.0", "mongo.cccc.1", "mongo.verify cccc"),
        *("mongo.finish cccc", "postgres.statements cccc", "postgres.commit cccc"),
        "mongo.settle cccc",
    ]
    assert stage.stands() == {MONGO: set(IDS), POSTGRES: set(IDS)}
    assert stage.open() == []


def test_a_downgrade_goes_the_same_way_back(stage: Rehearsal) -> None:
    before = stage.snapshot()
    stage.run("head", UP)

    stage.run("aaaa", DOWN)

    assert stage.snapshot() == before


def test_each_step_is_told_before_it_begins(stage: Rehearsal) -> None:
    told: list[str] = []

    def on_step(step: Step) -> None:
        told.append(f"{step.direction} {step.revision.id}")
        assert step.revision.id not in stage.stands()[MONGO]

    stage.run("head", UP, on_step=on_step)

    assert told == ["upgrade bbbb", "upgrade cccc"]


def test_a_side_that_is_behind_is_brought_level(stage: Rehearsal) -> None:
    stage.run("head", UP, sides=[MONGO])

    results = stage.run("head", UP)

    assert [result.step.backends for result in results] == [(POSTGRES,)] * 2
    assert stage.stands() == {MONGO: set(IDS), POSTGRES: set(IDS)}


@pytest.mark.parametrize("side", BOTH)
def test_a_side_alone_leaves_the_other(side: BackendName, stage: Rehearsal) -> None:
    stage.run("head", UP, sides=[side])

    (other,) = set(BOTH) - {side}
    assert stage.stands() == {side: set(IDS), other: {"aaaa"}}
    assert stage.open() == []


PLACES = [
    *("mongo.begin cccc", "mongo.cccc.0", "mongo.cccc.1", "mongo.verify cccc"),
    *("mongo.finish cccc", "postgres.statements cccc", "postgres.commit cccc"),
]


@pytest.mark.parametrize(
    ("begin", "target", "direction"),
    [("bbbb", "head", UP), ("head", "aaaa", DOWN)],
    ids=["upgrade", "downgrade"],
)
@pytest.mark.parametrize("place", PLACES)
def test_a_failure_leaves_both_sides_where_they_stood(
    place: str, begin: str, target: str, direction: Direction, stage: Rehearsal
) -> None:
    stage.run(begin, UP)
    before = stage.snapshot()
    failing = Calls(fail_at={place: ScriptError("no such column")})

    with pytest.raises(PartialFailure):
        stage.run(target, direction, failing)

    assert stage.snapshot() == before
    assert stage.open() == []


def test_a_failure_tells_what_was_done_what_failed_and_how_to_go_on(
    stage: Rehearsal,
) -> None:
    failing = Calls(fail_at={"mongo.cccc.1": KeyError("password=hunter2")})

    with pytest.raises(PartialFailure) as caught:
        stage.run("+2", UP, failing)

    error = caught.value
    assert (error.applied, error.failed, error.untouched) == (("bbbb",), "cccc", ())
    assert isinstance(error.error, KeyError)
    assert error.__cause__ is error.error
    assert str(error) == (
        "The upgrade of cccc failed: KeyError: 'password=***. Done before it: bbbb. "
        "It was undone: the revision is not applied. Fix the script, then: "
        "flask db-migrate upgrade cccc"
    )


def test_what_failed_is_undone_newest_first(stage: Rehearsal) -> None:
    failing = Calls(fail_at={"postgres.statements bbbb": ScriptError("no")})

    with pytest.raises(PartialFailure):
        stage.run("head", UP, failing)

    place = failing.log.index("mongo.finish bbbb")
    assert failing.log[place + 1 :] == [
        *("postgres.failed bbbb", "mongo.undoing bbbb"),
        *("mongo.undo bbbb.1", "mongo.undo bbbb.0"),
        "mongo.undone bbbb",
    ]


def test_a_failure_lists_what_was_not_begun(stage: Rehearsal) -> None:
    failing = Calls(fail_at={"postgres.statements bbbb": ScriptError("no")})

    with pytest.raises(PartialFailure, match="the revision is not applied") as caught:
        stage.run("head", UP, failing)

    assert caught.value.applied == ()
    assert caught.value.untouched == ("cccc",)


def test_what_an_undoing_left_is_told_and_not_called_undone(stage: Rehearsal) -> None:
    failing = Calls(fail_at={"postgres.statements bbbb": ScriptError("no")})

    with pytest.raises(PartialFailure) as caught:
        stage.run("head", UP, failing, noted=("step 1 (update): 2 documents stay",))

    assert str(caught.value) == (
        "The upgrade of bbbb failed: no. On MongoDB it was undone except for this: "
        "step 1 (update): 2 documents stay. The revision is not applied. Fix the "
        "script, then: flask db-migrate upgrade head"
    )


def test_what_the_undoing_of_open_work_left_stands_in_its_result(
    stage: Rehearsal,
) -> None:
    stage.kill("bbbb", UP, at="mongo.verify bbbb")

    (result,) = stage.run("aaaa", DOWN, noted=("2 documents stay",))

    assert result.notes == ("2 documents stay",)


def test_what_cannot_be_undone_is_told_and_the_next_run_carries_on(
    stage: Rehearsal,
) -> None:
    failing = Calls(fail_at={"postgres.statements bbbb": ScriptError("no")})

    with pytest.raises(PartialFailure) as caught:
        stage.run("head", UP, failing, cannot_undo="bbbb.0")

    assert "On MongoDB some of it remains: bbbb.0 has no undo" in str(caught.value)
    assert "carry on with: flask db-migrate upgrade head" in str(caught.value)
    assert stage.stands() == {MONGO: {"aaaa"}, POSTGRES: {"aaaa"}}
    calls = Calls()
    stage.run("head", UP, calls)
    assert "mongo.bbbb.0" not in calls.log
    assert "mongo.bbbb.1" in calls.log
    assert stage.snapshot() == stage.expected(*IDS)


def test_an_undo_that_fails_does_not_keep_the_other_side_from_its_own(
    stage: Rehearsal,
) -> None:
    before = stage.snapshot()
    failing = {
        "postgres.commit bbbb": ScriptError("no"),
        "postgres.failed bbbb": ValueError("the journal is gone"),
    }

    with pytest.raises(PartialFailure, match="ValueError: the journal is gone"):
        stage.run("head", UP, Calls(fail_at=failing))

    assert stage.snapshot() == before


def test_what_is_no_fault_of_the_script_keeps_its_exit_code(stage: Rehearsal) -> None:
    failing = Calls(fail_at={"mongo.cccc.0": DatabaseUnavailable("MongoDB is gone")})

    with pytest.raises(DatabaseUnavailable, match="MongoDB is gone") as caught:
        stage.run("head", UP, failing)

    assert caught.value.__notes__ == ["Done before it: bbbb."]
    assert stage.snapshot() == stage.expected("aaaa", "bbbb")
    assert set(failing.blamed) == {False}


def test_a_script_that_fails_is_to_blame(stage: Rehearsal) -> None:
    failing = Calls(fail_at={"mongo.cccc.0": ValueError("no such document")})

    with pytest.raises(PartialFailure):
        stage.run("head", UP, failing)

    assert set(failing.blamed) == {True}


@pytest.mark.parametrize("direction", [UP, DOWN])
@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_end_is_unknown_is_asked_about_by_the_next_run(
    committed: bool, direction: Direction, stage: Rehearsal
) -> None:
    if direction is DOWN:
        stage.run("bbbb", UP)
    target = "bbbb" if direction is UP else "aaaa"
    place = "commit" if not committed else "unknown"
    failing = Calls(fail_at={f"postgres.{place} bbbb": OutcomeUnknown("who knows")})

    with pytest.raises(OutcomeUnknown):
        stage.run(target, direction, failing, unknown_after_commit=True)
    assert stage.open() == ["mongo bbbb"]

    calls = Calls()
    stage.run(target, direction, calls)
    assert "mongo.bbbb.0" not in calls.log
    assert ("postgres.commit bbbb" in calls.log) is not committed
    ids = IDS[:2] if direction is UP else IDS[:1]
    assert stage.snapshot() == stage.expected(*ids)
    assert stage.open() == []


def test_a_journal_that_cannot_be_closed_is_closed_by_the_next_run(
    stage: Rehearsal,
) -> None:
    failing = Calls(fail_at={"mongo.settle bbbb": DatabaseUnavailable("gone")})

    with pytest.raises(DatabaseUnavailable) as caught:
        stage.run("bbbb", UP, failing)

    assert "itself is done" in caught.value.__notes__[0]
    assert stage.snapshot() == stage.expected("aaaa", "bbbb")
    calls = Calls()
    stage.run("bbbb", UP, calls)
    assert calls.log == ["mongo.settle bbbb"]


@pytest.mark.parametrize("place", PLACES[1:5])
def test_the_opposite_direction_undoes_what_was_begun(
    place: str, stage: Rehearsal
) -> None:
    stage.run("bbbb", UP)
    before = stage.snapshot()
    stage.kill("head", UP, at=place)
    assert stage.open() == ["mongo cccc"]

    results = stage.run("bbbb", DOWN)

    assert [result.step.revision.id for result in results] == ["cccc"]
    assert stage.snapshot() == before
    assert stage.open() == []


@pytest.mark.parametrize(
    ("killed", "at", "run"),
    [(("head", UP), "cccc", ("-1", DOWN)), (("-1", DOWN), "bbbb", ("+1", UP))],
    ids=["down", "up"],
)
def test_one_step_back_ends_what_is_half_done_and_takes_no_other(
    killed: tuple[str, Direction],
    at: str,
    run: tuple[str, Direction],
    stage: Rehearsal,
) -> None:
    stage.run("bbbb", UP)
    stage.kill(*killed, at=f"postgres.statements {at}")

    stage.run(*run)

    assert stage.snapshot() == stage.expected("aaaa", "bbbb")


def test_what_can_neither_be_carried_on_nor_undone_is_an_integrity_error(
    stage: Rehearsal,
) -> None:
    stage.kill("bbbb", UP, at="mongo.verify bbbb")

    with pytest.raises(IntegrityError, match=r"halfway.*Carry it on with.* bbbb"):
        stage.run("base", DOWN, cannot_undo="bbbb.0")


def test_a_downgrade_that_cannot_be_undone_is_carried_on_to_the_revision_below(
    stage: Rehearsal,
) -> None:
    stage.run("bbbb", UP)
    stage.kill("-1", DOWN, at="postgres.statements bbbb")

    with pytest.raises(IntegrityError, match=r"db-migrate downgrade aaaa$"):
        stage.run("bbbb", UP, cannot_undo="bbbb.0")


def test_both_sides_get_one_pair_id(stage: Rehearsal) -> None:
    first, second = (stage.stores[side].pair_id for side in BOTH)

    assert first == second
    assert first is not None


def test_a_side_without_a_pair_id_takes_that_of_the_other(stage: Rehearsal) -> None:
    pair_id = stage.stores[MONGO].pair_id
    stage.stores[POSTGRES].pair_id = None

    stage.run("head", UP)

    assert stage.stores[POSTGRES].pair_id == pair_id


def test_a_wrongly_wired_pair_is_refused_and_untouched(stage: Rehearsal) -> None:
    stage.stores[POSTGRES].pair_id = "other"
    before, calls = stage.snapshot(), Calls()

    with pytest.raises(IntegrityError, match="do not belong together"):
        stage.run("head", UP, calls)

    assert calls.count == 0
    assert stage.snapshot() == before


def test_a_side_alone_needs_no_pair_id(tmp_path: Path) -> None:
    stage = Rehearsal(tmp_path, IDS)

    stage.run("head", UP, sides=[POSTGRES])

    assert stage.stores[POSTGRES].pair_id is None


def test_recovery_says_whether_it_changed_anything(stage: Rehearsal) -> None:
    sides: dict[BackendName, Backend] = {
        MONGO: FakeMongo(stage.stores[MONGO], Calls()),
        POSTGRES: FakePostgres(stage.stores[POSTGRES], Calls()),
    }
    states = {name: side.read() for name, side in sides.items()}

    assert Executor(sides).recover(states, UP, _revision_of) is False


def test_a_duration_covers_both_sides(stage: Rehearsal) -> None:
    (result, *_) = stage.run("head", UP)

    assert isinstance(result, StepResult)
    assert result.duration_ms >= 0


def test_the_fakes_do_what_the_protocol_says(stage: Rehearsal) -> None:
    plan = make_plan(stage.directory, stage.states(), "bbbb", UP)
    side: Backend = FakeMongo(Store(), Calls())

    with side.lock(timeout_s=1, on_wait=print):
        side.execute(plan.steps[0], partner=True)
        entry = side.read().entries["bbbb"]
        assert (entry.status, entry.awaits_partner) == (Status.APPLIED, True)
        side.revert(plan.steps[0], None)

    assert side.read().applied == frozenset()
    assert OPERATIONS > 1


def _revision_of(entry: Entry) -> Revision:
    return Revision(entry.revision)


@pytest.mark.parametrize("error", [StepInDoubt("who knows"), LockLost("too late")])
def test_what_is_in_doubt_or_not_ours_any_more_is_not_undone(
    error: Exception, stage: Rehearsal
) -> None:
    failing = Calls(fail_at={"mongo.bbbb.1": error})
    with pytest.raises(type(error)):
        stage.run("bbbb", UP, failing)
    assert stage.open() == ["mongo bbbb"]

    calls = Calls()
    stage.run("bbbb", UP, calls)
    assert "mongo.bbbb.0" not in calls.log
    assert stage.snapshot() == stage.expected("aaaa", "bbbb")
