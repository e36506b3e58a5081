"""What `upgrade`, `downgrade`, `stamp` and `restore` did, and would do."""

from __future__ import annotations

from flask_dualmigrate.backend import Forecast, PlannedStep
from flask_dualmigrate.backend.restorer import Kept, Replacement
from flask_dualmigrate.results import (
    DoneStep,
    PairedField,
    PairedValues,
    Place,
    PlannedRevision,
    PlanResult,
    RestoreResult,
    RunResult,
    ScriptResult,
    StampResult,
    Survey,
)
from flask_dualmigrate.revisions import BackendName, Direction

from ..trees import BOTH, MONGO, POSTGRES

UP, DOWN = Direction.UPGRADE, Direction.DOWNGRADE

DONE = DoneStep("ab12", "add status", BOTH, 41)
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

TEXTS = [
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
        "  late on MongoDB: removed\n"
        "  late on MongoDB: 1 document kept in _aside_ab12_late\n"
        "PostgreSQL: no revisions applied, as at that time.\n"
        "MongoDB: 1 revision applied, as at that time.\n"
        "Changes that scripts made outside these databases are in no backup and "
        "remain.",
    ),
    (
        RestoreResult("b1", (BackendName.MONGO,), (), (), {}, carried_on=True),
        "Restored MongoDB from b1, continuing a stopped restore.\n"
        "Changes that scripts made outside these databases are in no backup and "
        "remain.",
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
        "Nothing was changed.",
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
        "Nothing was changed.",
    ),
    (ScriptResult("sql", "BEGIN;\n\nCOMMIT;"), "BEGIN;\n\nCOMMIT;"),
    (StampResult(("ab12",), BOTH), "Stamped PostgreSQL and MongoDB at ab12."),
    (StampResult((), (MONGO,)), "Stamped MongoDB at base."),
    (
        RunResult(
            *(UP, (DONE,)),
            emptied=("item is empty now",),
            backup="b1",
            verified=Survey((), ()),
        ),
        "Upgraded ab12  add status  (PostgreSQL and MongoDB, 41 ms)\n"
        "item is empty now\n"
        "Backup before it: b1\n"
        "\n"
        "Verified: no tables or collections were touched.",
    ),
    (
        Survey(
            (Place(POSTGRES, "items", 1, 2), Place(MONGO, "item", 1_200, None)),
            (
                PairedField("items", "n", "item", "m", 2, 1, 9, 9, ("int", "long")),
                PairedField("logs", "n", "log", "m", 0, 0, 0, 0, ()),
            ),
            (PairedValues("items", "n", "item", "m", 7, 9, 9, 1, "3"),),
        ),
        "Side        Table or collection  Before  After\n"
        f"----------  -------------------  ------  -----  {'-' * 38}\n"
        "PostgreSQL  items                1       2      OK\n"
        "MongoDB     item                 1,200   -      "
        "DIFFERENT: fewer documents than before\n"
        "\n"
        "Column   Field   Nulls  Missing  Types\n"
        f"-------  ------  -----  -------  ---------  {'-' * 37}\n"
        "items.n  item.m  2      1        int, long  "
        "DIFFERENT: different numbers of nulls\n"
        "\n"
        "Column   Field   Values compared\n"
        f"-------  ------  ---------------  {'-' * 66}\n"
        "items.n  item.m  7 of 9           "
        "DIFFERENT: 1 value was equal before, and not after: that of 3, say\n"
        "Verified: 3 differences.",
    ),
]
