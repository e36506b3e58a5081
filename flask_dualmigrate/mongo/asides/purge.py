"""Listing the asides, and dropping those that are no longer needed.

An aside that a downgrade would put back leaves its entry in the catalog when it is
purged, so that the downgrade can say what it cannot put back. The downgrade removes the
entry. An entry whose collection is missing counts as such an aside, however the
collection disappeared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database

from ...backend import Aside
from ...backend.journal import Actor
from ...revisions import Direction
from ...runtime.crashpoints import around
from ..server.best_effort import Size, size_of
from ..server.views import NATIVE, drop, exact_view, native
from .aside import CATALOG, Holds

Entry = Mapping[str, Any]


class KeptAsides:
    """The asides of one database, for people."""

    def __init__(self, db: Database[Any]) -> None:
        self._db = exact_view(db.client.get_database(db.name))
        self._catalog = native(self._db, CATALOG)

    def all(self, unfinished: frozenset[str]) -> tuple[Aside, ...]:
        """Return the existing asides, oldest first.

        unfinished: ids of the revisions that are half done; they need their asides.
        """
        now = self._server_time()
        return tuple(
            self._aside(entry, now, unfinished) for entry in self._entries(there=True)
        )

    @around("mongo.asides.purge")
    def purge(self, aside: Aside) -> None:
        """Drop an aside. If interrupted, it can be repeated with the same result."""
        if aside.for_downgrade:
            actor = Actor.current()
            mark = {"purged_by": f"{actor.user} (pid {actor.pid}) on {actor.host}"}
            self._catalog.update_one(
                {"_id": aside.name},
                {"$set": mark, "$currentDate": {"purged_at": True}},
            )
        drop(self._db, aside.name)
        if not aside.for_downgrade:
            self._catalog.delete_one({"_id": aside.name})

    @around("mongo.asides.forget")
    def forget_leftovers(self) -> None:
        """Remove the entries of dropped asides that no downgrade needs."""
        for entry in self._entries(there=False):
            if not _for_downgrade(entry):
                self._catalog.delete_one({"_id": entry["_id"]})

    def lost(self, revision: str) -> tuple[str, ...]:
        """Say what a downgrade of a revision cannot put back, one line each."""
        return tuple(
            _loss(entry)
            for entry in self._entries(there=False)
            if entry["revision"] == revision and _for_downgrade(entry)
        )

    def _entries(self, *, there: bool) -> Iterator[Entry]:
        """Yield the catalog's entries whose collection exists, or does not exist."""
        entries = list(self._catalog.find({}).sort([("created_at", 1), ("_id", 1)]))
        if not entries:
            return
        query = {"name": {"$regex": "^_aside_"}}
        names = set(self._db.list_collection_names(filter=query))
        yield from (entry for entry in entries if (entry["_id"] in names) is there)

    def _aside(self, entry: Entry, now: datetime, unfinished: frozenset[str]) -> Aside:
        is_view = entry["holds"] == Holds.VIEW
        size = Size(0, 0) if is_view else size_of(self._db, entry["_id"])
        return Aside(
            name=entry["_id"],
            holds=entry["holds"],
            collection=entry["collection"],
            field=entry["field"] or None,
            revision=entry["revision"],
            direction=Direction(entry["direction"]),
            step=entry["step"],
            verb=entry["verb"],
            documents=size.documents,
            size_bytes=size.size_bytes,
            since=entry["created_at"],
            age_s=max(0.0, (now - entry["created_at"]).total_seconds()),
            for_downgrade=_for_downgrade(entry),
            needed=entry["revision"] in unfinished,
        )

    def _server_time(self) -> datetime:
        now: datetime = self._db.command("hello", codec_options=NATIVE)["localTime"]
        return now.astimezone(UTC)


def _for_downgrade(entry: Entry) -> bool:
    return bool(entry["open"]) and entry["direction"] == Direction.UPGRADE


_WORDS = {
    Holds.VALUES: "the former values of {path}",
    Holds.CONVERSIONS: "the values of {path} from before their conversion",
    Holds.DOCUMENTS: "the former documents of {path}",
    Holds.COLLECTION: "the former collection {path}",
    Holds.VIEW: "the former view {path}",
}


def _loss(entry: Entry) -> str:
    path = ".".join(filter(None, (entry["collection"], entry["field"])))
    what = _WORDS[Holds(entry["holds"])].format(path=path)
    how = "no longer exists"
    if "purged_at" in entry:
        how = f"was purged on {entry['purged_at']:%Y-%m-%d %H:%M} UTC"
    return f"{what} cannot be put back: {entry['_id']} {how}"
