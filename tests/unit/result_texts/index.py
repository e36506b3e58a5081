"""What `index` listed, compared and changed."""

from __future__ import annotations

from flask_dualmigrate.indexes import (
    DeclaredIndex,
    Difference,
    FoundIndex,
    Remedy,
    State,
    Verdict,
)
from flask_dualmigrate.results import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
    SyncAction,
)

from ..trees import MONGO, POSTGRES
from .inspect import NOON

FOUND = FoundIndex(
    *(MONGO, "item", "ix_a", (("a", 1), ("b", -1))),
    {"unique": True, "partialFilterExpression": {"a": {"$type": "string"}}},
    size_bytes=20_480,
    uses=1_234,
    since=NOON,
)
BROKEN = FoundIndex(
    *(POSTGRES, "items", "uq", (("lower(a)", 1),), {"unique": True}),
    state=State.INVALID,
    constraint="uq",
)
WANTED = DeclaredIndex("item", "ix_a", (("a", 1),), {}, ("the models (items)",))
FINE = Difference(MONGO, "item", "ix_a", Verdict.OK, WANTED, FOUND)
STRAY = Difference(MONGO, "item", "stray", Verdict.UNDECLARED, None, FOUND)
CONFLICT = Difference(
    *(MONGO, "item", "ix_a", Verdict.CONFLICT, WANTED, FOUND, "unique is True"),
    Remedy.REPLACE,
)
ACTION = SyncAction(MONGO, "item", "ix_a", Remedy.CREATE, "create item.ix_a")
DIFFERENCES = (
    "MongoDB:\n"
    "Verdict     Collection  Index  Key      Declared by\n"
    "----------  ----------  -----  -------  ------------------\n"
    "CONFLICT    item        ix_a   a        the models (items)\n"
    "UNDECLARED  item        stray  a, b -1  nothing\n"
    "CONFLICT item.ix_a: unique is True\n"
    "\n"
    "1 CONFLICT, 1 UNDECLARED\n"
)

TEXTS = [
    (IndexListResult(()), "There are no indexes."),
    (
        IndexListResult((FOUND, BROKEN), ("No sizes.",)),
        "PostgreSQL:\n"
        "Table  Index  Key       Options             Size     Used     State\n"
        f"-----  -----  --------  {'-' * 18}  -------  -------  -------\n"
        "items  uq     lower(a)  unique, constraint  unknown  unknown  INVALID\n"
        "\n"
        "MongoDB:\n"
        f"Collection  Index  Key      {'Options':<52}  Size      {'Used':<38}  State\n"
        f"----------  -----  -------  {'-' * 52}  --------  {'-' * 38}  -----\n"
        "item        ix_a   a, b -1  "
        "unique, partialFilterExpression={a: {$type: string}}  20.0 KiB  "
        "1,234 times since 2026-11-21 12:30:01Z\n"
        "Note: No sizes.",
    ),
    (
        IndexDiffResult((FINE,)),
        "MongoDB:\n"
        "Verdict  Collection  Index  Key  Declared by\n"
        "-------  ----------  -----  ---  ------------------\n"
        "OK       item        ix_a   a    the models (items)\n"
        "\n"
        "1 OK\n"
        "All indexes are as declared.",
    ),
    (
        IndexDiffResult((CONFLICT, STRAY)),
        f"{DIFFERENCES}To fix this, run: flask db-migrate index sync",
    ),
    (IndexSyncResult((), ()), "Nothing to do."),
    (
        IndexSyncResult((ACTION,), (CONFLICT, STRAY)),
        f"Done: create item.ix_a (MongoDB)\n\n{DIFFERENCES}"
        "To drop undeclared indexes, add --drop-undeclared.",
    ),
    (
        IndexSyncResult((ACTION,), (), dry_run=True),
        "Would create item.ix_a (MongoDB)\nNothing was changed.",
    ),
    (IndexDropResult(MONGO, "item", "ix_a"), "Dropped item.ix_a on MongoDB."),
    (
        IndexRebuildResult(MONGO, "item", "ix_a", 41),
        "Rebuilt item.ix_a on MongoDB (41 ms).",
    ),
]
