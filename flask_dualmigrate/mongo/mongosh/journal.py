"""The statements around the operations: the lock, the guard, the journal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ...revisions import Direction, Status, Step
from ...text import storable
from ..asides.aside import CATALOG
from ..journal.attempts import KEPT_ATTEMPTS, UNDOING
from ..journal.journal import COLLECTION as JOURNAL
from ..journal.meta import COLLECTION as META
from ..journal.written_documents import TOUCHED
from ..lock.lock import COLLECTION as LOCK
from .literals import Raw, call, literal, on

LEASE_S = 24 * 60 * 60
"""Seconds that the lock is taken for: nothing renews it while a statement runs."""

DURABLE = {"writeConcern": {"w": "majority", "j": True}}
_NOW = Raw("db.hello().localTime")
_BY, _HOST = "mongosh", Raw('require("os").hostname()')


def begin(
    owner: str,
    steps: Sequence[Step],
    applied: Sequence[str],
    *,
    written: Collection[str],
    moved: Collection[str],
) -> Iterator[str]:
    """Yield the statements that take the lock and refuse a database in another state.

    written: the collections whose documents are written; moved: those that are renamed.
    """
    tokens = f'...{on(JOURNAL)}.distinct("token").map(Number)'
    seed = {"token": Raw(f"Math.max(0, {tokens})"), "owner": None, "expires_at": None}
    yield "// Take the lock of a run, unless somebody has it.\n" + call(
        on(LOCK),
        "updateOne",
        {"_id": "lock"},
        {"$setOnInsert": seed},
        {"upsert": True, **DURABLE},
    )
    mark = {
        "owner": owner,
        "token": {"$add": ["$token", 1]},
        "since": "$$NOW",
        "user": _BY,
        "host": {"$literal": _HOST},
        "pid": Raw("process.pid"),
        "mark": None,
        "lease_s": LEASE_S,
        "beats": 0,
        "expires_at": {"$add": ["$$NOW", LEASE_S * 1000]},
    }
    free = {"_id": "lock", "owner": None}
    take = call(on(LOCK), "findOneAndUpdate", free, [{"$set": mark}], DURABLE)
    yield (
        f"if ({take.removesuffix(';')} === null) {{\n"
        '  throw new Error("Another migration holds the lock");\n}'
    )
    conditions = " ||\n  ".join(_other_state(steps, applied, written, moved))
    error = f"This script is for a database with the revisions [{', '.join(applied)}], "
    error += "none of them half done, and with ordinary collections"
    release = _release(owner).replace("\n", "\n  ")
    yield (
        "// Refuse a database in another state than this script was made for.\n"
        f"if (\n  {conditions}\n) {{\n  {release}\n"
        f"  throw new Error({literal(error)});\n}}"
    )


def _other_state(
    steps: Sequence[Step],
    applied: Sequence[str],
    written: Collection[str],
    moved: Collection[str],
) -> Iterator[str]:
    """Yield the conditions under which the script must not continue."""
    stands = f'{on(JOURNAL)}.distinct("_id", {literal({"status": "applied"})})'
    yield f"{stands}.sort().join() !== {literal(','.join(sorted(applied)))}"
    half = ({"status": "running"}, {"awaits_partner": True}, {"partial": True})
    yield _some(JOURNAL, {"$or": half})
    ids = [step.revision.id for step in steps]
    # An undo left documents that the next run has to leave out.
    left = {"_id.revision": {"$in": ids}, "_id.left": {"$exists": True}}
    yield _some(TOUCHED, left)
    if steps[0].direction is Direction.UPGRADE:
        yield _some(CATALOG, {"revision": {"$in": ids}})
    special = {"type": {"$ne": "collection"}}
    capped = {"options.capped": True}
    for names, unfit in ((written, [special, capped]), (moved, [special])):
        if names:
            query = {"name": {"$in": sorted(names)}, "$or": unfit}
            yield f"db.getCollectionInfos({literal(query, 2)}).length > 0"


def _some(name: str, query: Any) -> str:
    return f"{on(name)}.countDocuments({literal(query, 2)}) > 0"


def entry(step: Step, checksum: str) -> Iterator[str]:
    """Yield the statements that record a revision as done, as a run does."""
    revision, up = step.revision, step.direction is Direction.UPGRADE
    status = str(Status.APPLIED if up else Status.ROLLED_BACK)
    same: dict[str, Any] = {
        "direction": str(step.direction),
        "status": status,
        "by": _BY,
        "host": _HOST,
        "started_at": _NOW,
        "finished_at": _NOW,
        "error": None,
        "notes": [],
    }
    fields: dict[str, Any] = {
        "revision": revision.id,
        "down_revision": list(revision.parents),
        "description": storable(revision.message),
        **same,
        "awaits_partner": False,
        UNDOING: False,
        "partial": False,
    }
    if up:
        fields |= {"checksum": checksum, "applied_at": _NOW, "duration_ms": None}
        fields["stamped"] = False
    attempt = {**same, "duration_ms": None}
    push = {"history": {"$each": [attempt], "$slice": -KEPT_ATTEMPTS}}
    change = {"$set": fields, "$push": push}
    options = {"upsert": True, **DURABLE}
    if not up:
        still_open = {"revision": revision.id, "open": True}
        closed = {"$set": {"open": False}}
        yield (
            "// What its upgrade kept, and nothing put back, is left to people.\n"
            + call(on(CATALOG), "updateMany", still_open, closed)
        )
    yield f"// Journal: {revision.id} is done.\n" + call(
        on(JOURNAL), "updateOne", {"_id": revision.id}, change, options
    )


def end(owner: str) -> Iterator[str]:
    """Yield the statements that note that there is a history, and free the lock."""
    has_entries = {"$set": {"has_entries": True}}
    used = {"$unset": {"unused": ""}}
    yield "\n".join(
        (
            "// The journal has entries now.",
            call(
                on(META), "updateOne", {"_id": "history"}, has_entries, {"upsert": True}
            ),
            call(on(META), "updateOne", {"_id": "pair", "unused": True}, used),
        )
    )
    yield f'// Free the lock.\n{_release(owner)}\nprint("Done.");\n'


def _release(owner: str) -> str:
    mine = {"_id": "lock", "owner": owner}
    freed = {"$set": {"owner": None, "expires_at": None}}
    return call(on(LOCK), "updateOne", mine, freed, DURABLE)
