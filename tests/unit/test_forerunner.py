"""What failed while a run waited is not repeated by it; all else is tried."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from flask_dualmigrate import PartialFailure
from flask_dualmigrate.backend import State
from flask_dualmigrate.backend.journal import Entry
from flask_dualmigrate.revisions import BackendName, Direction, Revision, Status, Step
from flask_dualmigrate.run.plan import Plan
from flask_dualmigrate.run.same_failure import refuse_repetition
from flask_dualmigrate.tree.directory import ScriptDirectory

MONGO, POSTGRES = BackendName.MONGO, BackendName.POSTGRES
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FAILED = Entry(
    "r2",
    Direction.UPGRADE,
    Status.FAILED,
    finished_at=NOW,
    checksum="sum of r2",
    by="ann (pid 7)",
    host="web1",
    error="It broke.",
)
RUNNING = dataclasses.replace(FAILED, status=Status.RUNNING, finished_at=None)
EARLIER = dataclasses.replace(FAILED, finished_at=NOW - timedelta(seconds=1))
Sides = dict[BackendName, Entry]


class Tree:
    def checksum(self, backend: BackendName, revision_id: str) -> str:
        return f"sum of {revision_id}"


def check(before: Sides, now: Sides, direction: Direction = Direction.UPGRADE) -> None:
    def states(sides: Sides) -> dict[BackendName, State]:
        none: dict[str, Entry] = {}
        entries = {
            name: {"r2": sides[name]} if name in sides else none for name in both
        }
        return {name: State(frozenset(), entries[name]) for name in both}

    both = (MONGO, POSTGRES)
    steps = [Step(Revision(key), direction, both) for key in ("r2", "r3")]
    plan = Plan(direction, "heads", tuple(steps))
    tree = cast(ScriptDirectory, Tree())
    refuse_repetition(tree, plan, before=states(before), now=states(now))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {MONGO: FAILED}),
        ({MONGO: RUNNING}, {MONGO: FAILED, POSTGRES: FAILED}),
        ({MONGO: EARLIER, POSTGRES: EARLIER}, {MONGO: FAILED, POSTGRES: FAILED}),
        ({MONGO: RUNNING}, {MONGO: dataclasses.replace(FAILED, partial=True)}),
    ],
    ids=["begun-and-failed", "was-running", "failed-again", "some-of-it-stays"],
)
def test_what_failed_meanwhile_is_not_repeated(before: Sides, now: Sides) -> None:
    with pytest.raises(PartialFailure) as caught:
        check(before, now)

    assert str(caught.value) == (
        "The upgrade of r2 failed: It broke. ann (pid 7) on web1 tried it while this "
        "run waited, so it is not tried again. Fix the script, then: flask db-migrate "
        "upgrade heads"
    )
    assert (caught.value.failed, caught.value.untouched) == ("r2", ("r3",))


def but(**changes: Any) -> Entry:
    return dataclasses.replace(FAILED, **changes)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {}),
        ({MONGO: FAILED, POSTGRES: FAILED}, {MONGO: FAILED, POSTGRES: FAILED}),
        ({}, {MONGO: but(checksum="of an edit")}),
        ({}, {MONGO: FAILED, POSTGRES: but(checksum="of an edit")}),
        ({}, {MONGO: but(checksum=None)}),
        ({}, {MONGO: but(status=Status.ROLLED_BACK)}),
        ({}, {MONGO: RUNNING}),
        ({}, {MONGO: but(direction=Direction.DOWNGRADE)}),
    ],
    ids=[
        *("nothing", "failed-before", "edited", "partner-edited", "no-checksum"),
        *("undone", "killed", "downgrade"),
    ],
)
def test_all_else_is_tried(before: Sides, now: Sides) -> None:
    check(before, now)


def test_a_downgrade_is_tried() -> None:
    check({}, {MONGO: FAILED}, Direction.DOWNGRADE)
