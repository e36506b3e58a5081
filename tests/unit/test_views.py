"""Results as a person reads them, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from flask_dualmigrate import results
from flask_dualmigrate.cli.views import as_json, as_text
from flask_dualmigrate.cli.views.layout import lines
from flask_dualmigrate.results import (
    AsidesResult,
    BackupListResult,
    CheckResult,
    Finding,
    Proof,
    ScriptResult,
    StatusResult,
)
from flask_dualmigrate.run.status import RevisionStatus, SideStatus

from .result_texts import TEXTS
from .result_texts.asides import ASIDE
from .result_texts.backup import BACKUP
from .result_texts.inspect import NOON, STATUS
from .trees import MONGO


def _id(value: Any) -> str:
    return type(value).__name__ if dataclasses.is_dataclass(value) else ""


@pytest.mark.parametrize(("result", "text"), TEXTS, ids=_id)
def test_a_result_is_said_in_words(result: Any, text: str) -> None:
    assert as_text(result) == text


@pytest.mark.parametrize(
    ("age_s", "size_bytes", "text"),
    [
        (0.4, 0, "0 B 0 s"),
        (59.9, 1023, "1023 B 59 s"),
        (60, 1024, "1.0 KiB 1 min"),
        (7199, 10**9, "953.7 MiB 1 h"),
        (10 * 86_400, 2**60, "1048576.0 TiB 10 d"),
    ],
)
def test_an_age_and_a_size_are_said_in_their_largest_unit(
    age_s: float, size_bytes: int, text: str
) -> None:
    aside = dataclasses.replace(ASIDE, age_s=age_s, size_bytes=size_bytes)
    row = as_text(AsidesResult((aside,))).splitlines()[2]

    assert " ".join(row.replace("2026-11-21 12:30:01Z", "").split()[5:9]) == text


def test_an_aside_says_who_wants_it() -> None:
    needed = dataclasses.replace(ASIDE, needed=True)
    for_people = dataclasses.replace(ASIDE, for_downgrade=False)

    assert "ab12, which is half done\n" in as_text(AsidesResult((needed,)))
    assert " you\n" in as_text(AsidesResult((for_people,)))


def test_several_pending_revisions_are_said_in_the_plural() -> None:
    text = as_text(dataclasses.replace(STATUS, pending=2))

    assert text.endswith("\n2 revisions are pending. Run: flask db-migrate upgrade")
    assert as_text(dataclasses.replace(STATUS, pending=0)).endswith("\nUp to date.")


def test_a_status_names_what_is_wrong_with_the_tree() -> None:
    problem = "Revision ab12 has no MongoDB script"

    assert problem in as_text(dataclasses.replace(STATUS, problems=(problem,)))


def test_every_result_has_words_of_its_own_and_an_example_of_them() -> None:
    made = {type(result) for result, _ in TEXTS}
    exported = {getattr(results, name) for name in results.__all__}
    results_ = {kind for kind in exported if kind.__name__.endswith("Result")}
    without = lines.dispatch(object)
    worded = {kind for kind in exported if lines.dispatch(kind) is not without}

    assert results_ - worded == {ScriptResult}  # it stays as it is
    assert made == (worded | {ScriptResult}) - {Proof}  # a part of ProofResult


@pytest.mark.parametrize(
    "result",
    [result for result, _ in TEXTS if not isinstance(result, BackupListResult)],
    ids=_id,
)
def test_a_result_is_json_with_all_of_its_fields(result: Any) -> None:
    parsed = json.loads(as_json(result))

    assert set(parsed) >= {field.name for field in dataclasses.fields(result)}


def test_json_of_a_list_of_backups_is_the_list_itself() -> None:
    (told,) = json.loads(as_json(BackupListResult("/b", (BACKUP,))))

    assert set(told) == {field.name for field in dataclasses.fields(BACKUP)}


def test_json_has_plain_names_and_times_with_their_zone() -> None:
    parsed = json.loads(as_json(STATUS))

    assert parsed["backends"] == ["postgres", "mongo"]
    assert parsed["rows"][0]["sides"]["mongo"] == {
        "state": "applied",
        "applied_at": "2026-11-21T12:30:01+00:00",
        "duration_ms": 41,
        "by": None,
        "host": None,
        "stamped": False,
        "error": None,
        "progress": None,
    }


def test_json_of_a_check_says_whether_all_is_well() -> None:
    shown = json.loads(as_json(CheckResult((), ("server defaults",))))

    assert shown == {"ok": True, "findings": [], "not_compared": ["server defaults"]}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock goes by another zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        NOON.astimezone(timezone(timedelta(hours=5))),
        NOON.replace(tzinfo=None),  # as SQLite gives it
    ],
    ids=["utc", "elsewhere", "without-a-zone"],
)
def test_times_are_said_in_utc(moment: datetime) -> None:
    side = SideStatus("applied", moment)
    row = RevisionStatus("ab12", "m", {MONGO: side})

    text = as_text(StatusResult((row,), (MONGO,), 0))

    assert "2026-11-21 12:30:01Z" in text
    assert json.loads(as_json(side))["applied_at"] == "2026-11-21T12:30:01+00:00"


@pytest.mark.parametrize(
    ("state", "pending", "last"),
    [
        ("applied", 0, "Up to date."),
        ("pending", 1, "1 revision is pending. Run: flask db-migrate upgrade"),
        (
            "stopped",  # a downgrade: the revision still counts as applied
            0,
            "A revision is half done. For your options: flask db-migrate repair",
        ),
        (
            "running",
            0,
            "A migration is running. To see who runs it: flask db-migrate unlock",
        ),
    ],
)
def test_status_says_up_to_date_of_what_is_whole_alone(
    state: str, pending: int, last: str
) -> None:
    row = RevisionStatus("ab12", "m", {MONGO: SideStatus(state)})

    text = as_text(StatusResult((row,), (MONGO,), pending))

    assert text.splitlines()[-1] == last


def test_nobody_is_told_to_upgrade_while_another_run_does() -> None:
    row = RevisionStatus("ab12", "m", {MONGO: SideStatus("running")})

    text = as_text(StatusResult((row,), (MONGO,), 1))

    assert "1 revision is pending." in text
    assert "Run: flask db-migrate upgrade" not in text


def test_text_that_is_not_ascii_stays_readable_in_json() -> None:
    assert "größe 数量" in as_json(Finding("todo", "größe 数量"))
