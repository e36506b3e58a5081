"""Where the databases and the tree stand."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from flask_dualmigrate.results import (
    CheckResult,
    CurrentResult,
    Finding,
    GraphResult,
    GraphRevision,
    ShowResult,
    StatusResult,
)
from flask_dualmigrate.run.status import RevisionStatus, SideStatus

from ..trees import MONGO, POSTGRES

NOON = datetime(2026, 11, 21, 12, 30, 1, tzinfo=UTC)

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
