"""What a run that waits says, and how often."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flask_dualmigrate.backend import Progress, holder
from flask_dualmigrate.backend.holder import Holder
from flask_dualmigrate.backend.journal import Entry
from flask_dualmigrate.revisions import BackendName, Direction, Status
from flask_dualmigrate.run import lock_wait
from flask_dualmigrate.run.lock_wait import Waiting

from .fakes import Calls, FakeMongo, Store

SINCE = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
ANN = Holder("ann", "web1", 7, since=SINCE, age_s=42, key="a")
BOB = Holder("bob", "web2", 8, since=SINCE, age_s=1, key="b")


class Clock:
    """Stands for the time module; only seconds that pass are asked for."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lock_wait, "time", clock)
    return clock


class Mongo(FakeMongo):
    """A side whose open attempt has done so many of a hundred documents."""

    done = 10

    def progress(self, entry: Entry) -> Progress | None:
        return Progress(entry.revision, 2, "update", "item", self.done, 100)


@pytest.fixture
def mongo() -> Mongo:
    return Mongo(Store(), Calls())


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def waiting(mongo: Mongo, said: list[str], clock: Clock) -> Waiting:
    return Waiting(BackendName.POSTGRES, {BackendName.MONGO: mongo}, said.append)


def begin(mongo: Mongo, revision: str) -> None:
    entry = Entry(revision, Direction.UPGRADE, Status.RUNNING)
    mongo.store.entries = {revision: entry}


def test_the_holder_is_named_with_since_when(waiting: Waiting, said: list[str]) -> None:
    waiting(ANN)
    assert said == [
        "the lock on PostgreSQL is held by ann@web1 (pid 7), since "
        "2026-11-22 04:00:00Z (42 s)"
    ]


def test_the_revision_and_how_far_it_is_are_read_off_the_other_side(
    waiting: Waiting, said: list[str], mongo: Mongo
) -> None:
    begin(mongo, "r1")
    waiting(ANN)
    assert said[0].endswith(
        "; upgrade of r1, step 2, update item: 10 of 100 documents (10 %)"
    )


def test_what_stays_the_same_is_said_every_half_a_minute(
    waiting: Waiting, said: list[str], mongo: Mongo, clock: Clock
) -> None:
    begin(mongo, "r1")
    for second in range(62):
        clock.now, mongo.done = float(second), second
        waiting(replace(ANN, age_s=float(second)))
    assert [" 0 of" in said[0], " 30 of" in said[1], " 60 of" in said[2]] == [True] * 3
    assert len(said) == 3


def test_another_holder_and_another_revision_are_said_at_once(
    waiting: Waiting, said: list[str], mongo: Mongo
) -> None:
    waiting(ANN)
    waiting(ANN)
    waiting(BOB)
    begin(mongo, "r1")
    waiting(BOB)
    begin(mongo, "r2")
    waiting(BOB)
    assert len(said) == 4


def test_a_holder_that_is_gone_is_told_at_once_with_what_frees_its_lock(
    waiting: Waiting, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = replace(ANN, mark="a.1")
    waiting(left)
    monkeypatch.setattr(holder, "_has_ended", lambda pid, mark: True)
    waiting(left)
    assert len(said) == 2
    assert said[1].endswith(
        "(42 s); its process no longer exists; to free it now: flask db-migrate unlock"
    )


def test_a_holder_that_is_at_work_has_no_command_beside_it(
    waiting: Waiting, said: list[str]
) -> None:
    waiting(replace(ANN, mark="a.1"))
    assert "unlock" not in said[0]


def test_nothing_is_said_of_a_lock_that_was_just_let_go(
    waiting: Waiting, said: list[str]
) -> None:
    waiting(None)
    assert said == []
