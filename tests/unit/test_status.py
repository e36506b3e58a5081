"""How a revision stands on each side, what is pending, and what was edited."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flask_dualmigrate.backend import State
from flask_dualmigrate.backend.journal import Actor, Entry
from flask_dualmigrate.errors import IntegrityError
from flask_dualmigrate.revisions import BackendName, Direction, Status
from flask_dualmigrate.run.status import (
    SideStatus,
    edited_scripts,
    make_status,
    pending,
    refuse_edited,
)
from flask_dualmigrate.tree.directory import ScriptDirectory

from .trees import BOTH, MONGO, POSTGRES, applied, line_of

UP, DOWN = Direction.UPGRADE, Direction.DOWNGRADE
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> ScriptDirectory:
    return line_of(tmp_path, "aaaa", "bbbb").load()


def _entry(direction: Direction, status: Status, **more: Any) -> Entry:
    return Entry("bbbb", direction, status, **more)


def _state(entry: Entry) -> State:
    ids = {"aaaa"} | ({entry.revision} if entry.applied else set())
    return State(frozenset(ids), {entry.revision: entry})


def _side(directory: ScriptDirectory, state: State) -> SideStatus:
    newest, *_ = make_status(directory, {MONGO: state}, BOTH)
    assert newest.revision == "bbbb"
    return newest.sides[MONGO]


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (_entry(UP, Status.APPLIED), "applied"),
        (_entry(UP, Status.APPLIED, awaits_partner=True), "applied"),
        (_entry(UP, Status.RUNNING), "running"),
        (_entry(UP, Status.FAILED), "failed"),
        (_entry(UP, Status.FAILED, partial=True), "failed"),
        (_entry(UP, Status.ROLLED_BACK), "pending"),
        (_entry(DOWN, Status.ROLLED_BACK), "pending"),
        (_entry(DOWN, Status.RUNNING), "running"),
        (_entry(DOWN, Status.FAILED), "applied"),
        (_entry(DOWN, Status.FAILED, partial=True), "failed"),
    ],
    ids=lambda value: (
        "-".join((value.direction, value.status)) if isinstance(value, Entry) else value
    ),
)
def test_a_side_is_said_in_one_word(
    entry: Entry, word: str, directory: ScriptDirectory
) -> None:
    assert _side(directory, _state(entry)).state == word


def test_a_side_without_a_journal_goes_by_its_stamp(directory: ScriptDirectory) -> None:
    assert _side(directory, applied("aaaa", "bbbb")) == SideStatus("applied")
    assert _side(directory, applied("aaaa")) == SideStatus("pending")


def test_a_side_that_is_not_in_use_is_said_so(directory: ScriptDirectory) -> None:
    row, *_ = make_status(directory, {MONGO: applied()}, BOTH)

    assert row.sides[POSTGRES].state == "not used here"


def test_a_row_says_when_how_long_and_by_whom(directory: ScriptDirectory) -> None:
    entry = _entry(
        UP, Status.APPLIED, applied_at=NOON, duration_ms=12, by="ann", host="web1"
    )

    side = _side(directory, _state(entry))

    assert (side.applied_at, side.duration_ms) == (NOON, 12)
    assert (side.by, side.host) == ("ann", "web1")


def test_a_revision_that_was_taken_back_has_no_time_of_its_own(
    directory: ScriptDirectory,
) -> None:
    entry = _entry(DOWN, Status.ROLLED_BACK, applied_at=NOON, duration_ms=12)

    side = _side(directory, _state(entry))

    assert (side.applied_at, side.duration_ms) == (None, None)


def test_rows_come_newest_first(directory: ScriptDirectory) -> None:
    rows = make_status(directory, {MONGO: applied()}, (MONGO,))

    assert [row.revision for row in rows] == ["bbbb", "aaaa"]
    assert rows[0].message == "make bbbb"


@pytest.mark.parametrize(
    ("states", "ids"),
    [
        ({MONGO: applied("aaaa", "bbbb"), POSTGRES: applied("aaaa")}, ["bbbb"]),
        ({MONGO: applied(), POSTGRES: applied()}, ["aaaa", "bbbb"]),
        ({MONGO: applied("aaaa", "bbbb")}, []),
        ({MONGO: _state(_entry(UP, Status.RUNNING))}, ["bbbb"]),
    ],
    ids=["one-side-behind", "both-at-base", "alone-at-head", "half-done"],
)
def test_pending_is_what_a_side_in_use_still_needs(
    states: dict[BackendName, State], ids: list[str], directory: ScriptDirectory
) -> None:
    assert [revision.id for revision in pending(directory, states)] == ids


@pytest.fixture
def states(directory: ScriptDirectory) -> dict[BackendName, State]:
    """Both sides at bbbb, with the checksums of the scripts as they are."""
    made = {}
    for name in BOTH:
        checksum = directory.checksum(name, "bbbb")
        entry = _entry(UP, Status.APPLIED, checksum=checksum, down_revision=("aaaa",))
        made[name] = _state(entry)
    return made


def _edit(directory: ScriptDirectory, name: BackendName) -> ScriptDirectory:
    path = directory.versions(name) / "bbbb.py"
    path.write_text(path.read_text() + "# edited\n")
    return ScriptDirectory(directory.root, directory.backends)


def test_scripts_as_they_were_applied_are_not_edited(
    directory: ScriptDirectory, states: dict[BackendName, State]
) -> None:
    assert list(edited_scripts(directory, states)) == []
    refuse_edited(directory, states)


@pytest.mark.parametrize("name", BOTH)
def test_an_applied_script_that_was_edited_is_told(
    name: BackendName, directory: ScriptDirectory, states: dict[BackendName, State]
) -> None:
    edited = _edit(directory, name)

    (text,) = edited_scripts(edited, states)
    assert text == (
        f"The {name.label} script of bbbb was edited after it was run (SHA-256 "
        f"{directory.checksum(name, 'bbbb')} then, "
        f"{edited.checksum(name, 'bbbb')} now)"
    )
    with pytest.raises(IntegrityError, match="repair bbbb --accept-checksum"):
        refuse_edited(edited, states)


def test_what_is_hashed_is_what_was_read_and_not_what_the_file_became(
    directory: ScriptDirectory, states: dict[BackendName, State]
) -> None:
    _edit(directory, MONGO)

    assert list(edited_scripts(directory, states)) == []


def test_an_applied_script_that_follows_another_one_now_is_told_so(
    directory: ScriptDirectory, states: dict[BackendName, State]
) -> None:
    moved = dataclasses.replace(states[MONGO].entries["bbbb"], down_revision=())
    edited = _edit(directory, MONGO)

    (text,) = edited_scripts(edited, {MONGO: _state(moved)})
    assert "it followed nothing and now follows aaaa" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"checksum": None},
        {"status": Status.FAILED},
        {"status": Status.RUNNING},
        {"awaits_partner": True},
    ],
    ids=["no-checksum", "failed", "running", "not-final"],
)
def test_a_script_may_be_edited_until_it_is_applied(
    changes: dict[str, Any],
    directory: ScriptDirectory,
    states: dict[BackendName, State],
) -> None:
    edited = _edit(directory, MONGO)
    entry = dataclasses.replace(states[MONGO].entries["bbbb"], **changes)

    assert list(edited_scripts(edited, {MONGO: _state(entry)})) == []


def test_an_actor_is_user_host_and_process() -> None:
    assert str(Actor("ann", "web1", 7)) == "ann@web1 (pid 7)"
    assert Actor.current().pid > 0
