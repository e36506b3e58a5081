"""What `unlock`, `repair` and `verify` found and did."""

from __future__ import annotations

import dataclasses

from flask_dualmigrate.backend.holder import Holder
from flask_dualmigrate.results import (
    AcceptResult,
    Case,
    Counted,
    PairResult,
    RepairReport,
    RepairResult,
    SideLock,
    UndoResult,
    UnlockResult,
    Verified,
    VerifyResult,
)
from flask_dualmigrate.run.consistency import Choice

from ..trees import BOTH, MONGO, POSTGRES
from .inspect import STATUS

HOLDER = Holder(user="ann", host="web1", pid=7)
CHOICE = Choice("it did its work", "flask db-migrate repair ab12 --step 0 --done")
LEAVE = Choice("leave it")

TEXTS = [
    (
        PairResult({MONGO: ("ab12",), POSTGRES: ()}, "3fa9"),
        "PostgreSQL at base and MongoDB at ab12 are now a pair.\n"
        "To bring both to the same revision, run: flask db-migrate upgrade",
    ),
    (
        RepairResult("ab12", 3, True),
        "Step 3 of ab12 counts as done when the run carries on.",
    ),
    (
        RepairResult("ab12", 0, False),
        "Step 0 of ab12 is run again when the run carries on.",
    ),
    (
        UnlockResult((SideLock(POSTGRES, "free"), SideLock(MONGO, "free"))),
        "The lock on PostgreSQL: not held.\nThe lock on MongoDB: not held.",
    ),
    (
        UnlockResult(
            (
                SideLock(POSTGRES, "freed", HOLDER, "its process does not exist"),
                SideLock(MONGO, "held", dataclasses.replace(HOLDER, lease_s=7.4)),
            ),
            ("ab12 on MongoDB",),
        ),
        "The lock on PostgreSQL: freed; it was held by ann@web1 (pid 7): its process "
        "does not exist.\n"
        "The lock on MongoDB: held by ann@web1 (pid 7); its lease has 7 s left.\n"
        "Under way: ab12 on MongoDB\n"
        "If that process is still running, wait for it. If it hangs, end it; if it is "
        "certainly gone, release its lock: flask db-migrate unlock --force",
    ),
    (
        RepairReport((), {POSTGRES: (), MONGO: ("ab12",)}, ()),
        "PostgreSQL is at base.\n"
        "MongoDB is at ab12.\n"
        "Nothing is unfinished, and there is nothing to repair.",
    ),
    (
        RepairReport(
            STATUS.rows[:1],
            {MONGO: ("ab12",)},
            (Case("in-doubt", MONGO, "ab12", "it was stopped", (CHOICE, LEAVE)),),
            ("one field was left",),
        ),
        "MongoDB is at ab12.\n"
        "\n"
        "Revision  Message     PostgreSQL  MongoDB\n"
        f"--------  ----------  ----------  {'-' * 34}\n"
        "ab12      add status  pending     applied 2026-11-21 12:30:01Z 41 ms\n"
        "\n"
        "in-doubt: it was stopped.\n"
        "  - it did its work:\n"
        "      flask db-migrate repair ab12 --step 0 --done\n"
        "  - leave it\n"
        "\n"
        "Note: one field was left.",
    ),
    (
        AcceptResult("ab12", (MONGO,)),
        "The script of ab12 on MongoDB is accepted as it is now.",
    ),
    (UndoResult("ab12", BOTH), "Undone on MongoDB and PostgreSQL: ab12."),
    (
        UndoResult("ab12", (MONGO,), (POSTGRES,), ("n of 1 document stays",)),
        "Undone on MongoDB: ab12 except for this:\n"
        "  n of 1 document stays\n"
        "ab12 is done on both sides: its journal on PostgreSQL was closed, and nothing "
        "was undone.",
    ),
    (
        VerifyResult((Verified(MONGO, "ab12", "none"),), (), 0),
        "No applied script has a verify function; nothing was compared.",
    ),
    (
        VerifyResult(
            (
                Verified(POSTGRES, "ab12", "passed"),
                Verified(MONGO, "9c1d", "failed", "no status", later=1),
            ),
            (
                Counted("items", "item", 7, 7),
                Counted("logs", "log", 1_000, 999),
                Counted("types", "type", None, None),
            ),
            1_000,
        ),
        "ab12 on PostgreSQL: passed\n"
        "9c1d on MongoDB: FAILED (1 revision was applied since): no status\n"
        "items / item: 7 rows, 7 documents\n"
        "logs / log: 1,000 or more rows, 999 documents  DIFFERENT\n"
        "types / type: no such table, no such collection\n"
        "2 verified, 1 failed; 3 counts compared, 1 differ.\n"
        "A later revision may be the cause. Let the verify function first check that "
        "what it looks at still exists, or use --head-only.",
    ),
]
