"""Which collections a plan touches, and how much they hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from pymongo.database import Database

from ...backend import BackupItem, Extent
from ...backups import Scope
from ...revisions import BackendName
from ..asides.aside import CATALOG
from ..lock.lock import COLLECTION as LOCK
from ..server.best_effort import size_of
from ..server.views import NATIVE, collection_info, native

_JOURNAL = "_migrations"


def extent_of(
    db: Database[Any],
    named: Collection[str] | None,
    revisions: Iterable[str] = (),
    *,
    why: str | None = None,
) -> Extent:
    """Return which collections a backup must hold, and how much data that is.

    named: those that the plan's operations name; None: the whole database is wanted.
    revisions: those of the plan; a downgrade takes from their asides. why: the reason
    that more may be touched; None if nothing more is.
    """
    there = {info["name"]: info for info in infos(db)}
    ours = {name for name in there if is_journal(name)}
    if named is None or why is not None:
        items = tuple(_facts(db, there[name]) for name in sorted(there))
        return Extent(BackendName.MONGO, Scope.ALL, items, why)
    touched = set(named) | _asides_of(db, set(revisions))
    wanted = sorted((touched & there.keys()) | ours)
    missing = sorted(touched - there.keys())
    return Extent(
        BackendName.MONGO,
        Scope.TOUCHED,
        (
            *(_facts(db, there[name]) for name in wanted),
            *(BackupItem(name, existed=False) for name in missing),
        ),
    )


def infos(db: Database[Any]) -> Iterator[dict[str, Any]]:
    """Yield the entries of listCollections that a backup may hold, views among them.

    What lies behind views and time series belongs to the server, and comes with them;
    the migration lock is not data.
    """
    for info in db.with_options(codec_options=NATIVE).list_collections():
        name = info["name"]
        if name != LOCK and (not name.startswith("system.") or name == "system.js"):
            yield dict(info)


def is_journal(name: str) -> bool:
    return name == CATALOG or name.startswith(_JOURNAL)


def _asides_of(db: Database[Any], revisions: set[str]) -> set[str]:
    """Return the asides of some revisions."""
    if collection_info(db, CATALOG) is None:
        return set()
    query = {"revision": {"$in": sorted(revisions)}}
    there = db.list_collection_names(filter={"name": {"$regex": "^_aside_"}})
    return {entry["_id"] for entry in native(db, CATALOG).find(query)} & set(there)


def _facts(db: Database[Any], info: dict[str, Any]) -> BackupItem:
    name = info["name"]
    if info["type"] == "view":
        return BackupItem(name)
    return BackupItem(
        name,
        size_bytes=size_of(db, name).size_bytes,
        is_empty=native(db, name).find_one({}, {"_id": True}) is None,
        own=is_journal(name),
    )
