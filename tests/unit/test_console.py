"""Results as a person reads them, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from flask_dualmigrate import results
from flask_dualmigrate.backend import Aside, Forecast, PlannedStep
from flask_dualmigrate.backend.restorer import Kept, Replacement
from flask_dualmigrate.cli.views import as_json, as_text
from flask_dualmigrate.cli.views.layout import lines
from flask_dualmigrate.results import (
    AsidesResult,
    CheckResult,
    CurrentResult,
    DoneStep,
    Finding,
    GraphResult,
    GraphRevision,
    InitResult,
    PairResult,
    PlannedRevision,
    PlanResult,
    PurgeResult,
    RepairResult,
    RestoreResult,
    RevisionResult,
    RunResult,
    ScriptResult,
    ShowResult,
    StampResult,
    StatusResult,
)
from flask_dualmigrate.revisions import BackendName, Direction, Revision
from flask_dualmigrate.run.status import RevisionStatus, SideStatus

from .trees import BOTH, MONGO, POSTGRES

UP, DOWN = Direction.UPGRADE, Direction.DOWNGRADE
NOON = datetime(2026, 11, 21, 12, 30, 1, tzinfo=UTC)
DONE = DoneStep("ab12", "add status", BOTH, 41)
PLACE = GraphRevision(
    "ab12", ("9c1d",), (), ("shop",), "add status", "x_ab12.py", True, False, False
)
ATTEMPT = {
    "direction": "upgrade",
    "status": "applied",
    "started_at": NOON,
    "finished_at": NOON,
    "duration_ms": 41,
    "by": "ann (pid 7)",
    "host": "web1",
    "error": None,
}
ASIDE = Aside(
    name="_aside_ab12_item.note",
    holds="values",
    collection="item",
    field="note",
    revision="ab12",
    direction=UP,
    step=0,
    verb="drop_field",
    documents=1200,
    size_bytes=3_250_586,
    since=NOON,
    age_s=36.5 * 86_400,
    for_downgrade=True,
    needed=False,
)
FORECASTS = (
    Forecast(0, "one", 12_000, 12_000, plan="IXSCAN _id_"),
    Forecast(
        1,
        "two",
        1,
        0,
        exact=False,
        notes=("more than could be counted",),
    ),
    Forecast(
        2,
        "three",
        writes=2,
        problems=("3 documents share one key",),
    ),
    Forecast(3, "four", 5, builds=True),
)
STATUS = StatusResult(
    (
        RevisionStatus(
            "ab12",
            "add status",
            {POSTGRES: SideStatus("pending"), MONGO: SideStatus("applied", NOON, 41)},
        ),
        RevisionStatus(
            "9c1d",
            "make items",
            {
                POSTGRES: SideStatus("applied", NOON, stamped=True),
                MONGO: SideStatus("applied", NOON, 61_500),
            },
        ),
    ),
    (POSTGRES, MONGO),
    pending=1,
)

TEXTS = [
    (InitResult("/m", ()), "/m is complete."),
    (InitResult("/m", ("/m/a", "/m/b")), "Created /m/a\nCreated /m/b"),
    (
        RevisionResult(None),
        "The models have nothing that the database has not; nothing was written.",
    ),
    (
        RevisionResult(Revision("ab12"), ("/m/a.py",), ("add column items.status",)),
        "Detected: add column items.status\nWrote /m/a.py",
    ),
    (RunResult(UP, ()), "Nothing to do."),
    (
        RestoreResult(
            "b1",
            (BackendName.MONGO, BackendName.POSTGRES),
            (
                Replacement(BackendName.POSTGRES, "item", 7, 1_234),
                Replacement(BackendName.MONGO, "late", 1, None),
            ),
            (Kept(BackendName.MONGO, "late", "_aside_ab12_late", 1),),
            {BackendName.POSTGRES: (), BackendName.MONGO: ("ab12",)},
        ),
        "Restored PostgreSQL and MongoDB from b1.\n"
        "  item on PostgreSQL: 1,234 rows\n"
        "  late on MongoDB: taken away\n"
        "  late on MongoDB: 1 document kept in _aside_ab12_late\n"
        "PostgreSQL: no revisions applied, as it was then.\n"
        "MongoDB: 1 revision applied, as it was then.\n"
        "What scripts did outside of these databases is in no backup, and stays.",
    ),
    (
        RestoreResult("b1", (BackendName.MONGO,), (), (), {}, carried_on=True),
        "Restored MongoDB from b1, from where that had stopped.\n"
        "What scripts did outside of these databases is in no backup, and stays.",
    ),
    (
        RunResult(UP, (DONE,)),
        "Upgraded ab12  add status  (PostgreSQL and MongoDB, 41 ms)",
    ),
    (
        RunResult(DOWN, (DoneStep("ab12", "add\n  status", (MONGO,), 12_345),)),
        "Downgraded ab12  add status  (MongoDB, 12.3 s)",
    ),
    (PlanResult(UP, ()), "Nothing to do."),
    (
        PlanResult(
            UP,
            (
                PlannedRevision(
                    "ab12",
                    "add status",
                    (
                        PlannedStep(MONGO, ("add field item.status",)),
                        PlannedStep(POSTGRES, ()),
                    ),
                ),
            ),
        ),
        "-- upgrade ab12  add status\n"
        "   MongoDB:\n"
        "     add field item.status\n"
        "   PostgreSQL:\n"
        "     nothing to do\n"
        "Nothing was touched.",
    ),
    (
        PlanResult(
            UP,
            (
                PlannedRevision(
                    "ab12",
                    "add status",
                    (PlannedStep(MONGO, ("one", "two", "three", "four"), FORECASTS),),
                ),
            ),
        ),
        "-- upgrade ab12  add status\n"
        "   MongoDB:\n"
        "     one\n"
        "       matches 12,000 documents, by IXSCAN _id_\n"
        "     two\n"
        "       matches about 1 document, writes 0 documents\n"
        "       more than could be counted\n"
        "     three\n"
        "       writes 2 documents\n"
        "       FAILS: 3 documents share one key\n"
        "     four\n"
        "       builds over 5 documents\n"
        "1 problem would make the upgrade fail.\n"
        "Nothing was touched.",
    ),
    (ScriptResult("sql", "BEGIN;\n\nCOMMIT;"), "BEGIN;\n\nCOMMIT;"),
    (
        PairResult({MONGO: ("ab12",), POSTGRES: ()}, "3fa9"),
        "PostgreSQL at base and MongoDB at ab12 are a pair now.\n"
        "To bring both to one revision, run: flask db-migrate upgrade",
    ),
    (
        RepairResult("ab12", 3, True),
        "Step 3 of ab12 counts as done when the run carries on.",
    ),
    (
        RepairResult("ab12", 0, False),
        "Step 0 of ab12 is called again when the run carries on.",
    ),
    (StampResult(("ab12",), BOTH), "Stamped PostgreSQL and MongoDB at ab12."),
    (StampResult((), (MONGO,)), "Stamped MongoDB at base."),
    (
        CurrentResult({MONGO: ("ab12",), POSTGRES: ("ab12",)}, at_head=True),
        "PostgreSQL: ab12 (head)\nMongoDB: ab12 (head)",
    ),
    (CurrentResult({MONGO: ()}, at_head=False), "MongoDB: base"),
    (
        STATUS,
        f"Revision  Message     {'PostgreSQL':<38}  MongoDB\n"
        f"--------  ----------  {'-' * 38}  {'-' * 35}\n"
        f"ab12      add status  {'pending':<38}  applied 2026-11-21 12:30:01Z 41 ms\n"
        "9c1d      make items  applied 2026-11-21 12:30:01Z (stamped)  "
        "applied 2026-11-21 12:30:01Z 61.5 s\n"
        "\n"
        "1 revision is pending. Run: flask db-migrate upgrade",
    ),
    (dataclasses.replace(STATUS, rows=()), "There are no revisions."),
    (GraphResult(()), "There are none."),
    (GraphResult((PLACE,)), "9c1d -> ab12 (shop) (head), add status"),
    (
        GraphResult(
            (
                dataclasses.replace(
                    PLACE,
                    parents=(),
                    branch_labels=(),
                    is_head=False,
                    is_branch_point=True,
                    current=(MONGO,),
                    message="m" * 80,
                ),
            )
        ),
        f"base -> ab12 (branchpoint) (current: MongoDB), {'m' * 59}…",
    ),
    (
        ShowResult(PLACE, {MONGO: "/m/x.py"}, {MONGO: (ATTEMPT,), POSTGRES: ()}),
        "Revision: ab12 (head)\n"
        "Parents:  9c1d\n"
        "Labels:   shop\n"
        "MongoDB:    /m/x.py\n"
        "\n"
        "add status\n"
        "\n"
        "On PostgreSQL: never run\n"
        "\n"
        "On MongoDB:\n"
        "  upgrade  applied  2026-11-21 12:30:01Z  41 ms  by ann (pid 7) on web1",
    ),
    (AsidesResult(()), "Nothing is kept aside."),
    (
        AsidesResult((ASIDE,)),
        f"{'Aside':<21}  {'Holds':<19}  Documents  {'Size':<7}  {'Since':<20}  "
        f"Age   {'By':<19}  For\n"
        f"{'-' * 21}  {'-' * 19}  ---------  -------  {'-' * 20}  ----  {'-' * 19}  "
        f"{'-' * 17}\n"
        "_aside_ab12_item.note  values of item.note  1,200      3.1 MiB  "
        "2026-11-21 12:30:01Z  36 d  upgrade ab12 step 0  downgrade of ab12\n"
        "\n"
        "1 aside, 3.1 MiB.",
    ),
    (PurgeResult((), ()), "No aside is that old; nothing was dropped."),
    (
        PurgeResult((ASIDE,), (dataclasses.replace(ASIDE, name="_aside_2"),)),
        "Dropped _aside_ab12_item.note: 1,200 documents, 3.1 MiB; a downgrade of ab12 "
        "cannot put that back\n"
        "Left _aside_2: ab12 is half done, and needs it",
    ),
    (CheckResult(()), "No problem found."),
    (
        CheckResult((), ("server defaults",)),
        "not compared: server defaults\nNo problem found in what was compared.",
    ),
    (
        CheckResult((Finding("todo", "one"),)),
        "todo: one\n1 problem found.",
    ),
    (
        CheckResult((Finding("todo", "one"), Finding("pair", "two"))),
        "todo: one\npair: two\n2 problems found.",
    ),
]


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


def test_every_result_has_words_of_its_own() -> None:
    made = {type(result) for result, _ in TEXTS}
    exported = {getattr(results, name) for name in results.__all__}
    shown = {kind for kind in exported if kind.__name__.endswith("Result")}
    without = lines.dispatch(object)

    assert made <= shown
    assert {kind for kind in shown if lines.dispatch(kind) is without} == {ScriptResult}


@pytest.mark.parametrize(("result", "_text"), TEXTS, ids=_id)
def test_a_result_is_json_with_all_of_its_fields(result: Any, _text: str) -> None:
    parsed = json.loads(as_json(result))

    assert set(parsed) >= {field.name for field in dataclasses.fields(result)}


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
            "A revision is half done. For the choices: flask db-migrate repair",
        ),
        (
            "running",
            0,
            "A migration is at work. To see who it is: flask db-migrate unlock",
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
