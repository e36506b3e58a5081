"""The switch of a restore: collection by collection, each by one rename.

It begins with a record of everything that will be done, and what was done is visible in
the database: so a run that was killed can be continued, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from ...backend.restorer import Kept
from ...revisions import BackendName, Direction
from ...runtime.crashpoints import reached
from ..asides.aside import CATALOG, Asides, Holds
from ..journal.journal import MongoJournal
from ..journal.steps import StepStore
from ..lock.lock import MongoLock
from ..server.errors import driver_errors
from ..server.views import (
    ExactDatabase,
    collection_info,
    command,
    exact_view,
    native,
    rename,
)
from .put_in import put_in
from .record import SIDE, Doc, Gone, Put, Record, RestoreRecord

_NO_NAMESPACE = 26
_BATCH = 1000
_JOURNALS = ("_migrations", CATALOG)


def finish(db: Database[Any], lock: MongoLock, mark: str) -> tuple[Kept, ...]:
    """Complete a restore; return what was made since and is kept.

    lock: held by the caller. Does nothing if that restore is already done.
    """
    exact = exact_view(db)

    def shut_out() -> None:
        # The fence was restored too, as it was: the runs since must not pass it.
        StepStore(exact, token=lock.token).shut_out()

    with driver_errors("be restored"):
        switching = Switching(exact, RestoreRecord(db), require_lock=lock.require)
        return switching.run(mark, shut_out=shut_out)


class Switching:
    """Puts the side collections into place, as the record says."""

    def __init__(
        self,
        db: ExactDatabase,
        record: RestoreRecord,
        *,
        require_lock: Callable[[], None],
    ) -> None:
        self._db = db
        self._record = record
        self._require_lock = require_lock

    def run(self, mark: str, *, shut_out: Callable[[], None]) -> tuple[Kept, ...]:
        """Do all or the rest of it; do nothing if that restore is done."""
        self._require_lock()
        record = self._record.read()
        if record is None or record.unfinished.mark != mark:
            return ()
        if not record.unfinished.switching:
            self._record.decide(self._fates(record), self._entries_to_stay(record))
            record = self._record.read()
            assert record is not None
        for gone in record.gone:
            self._require_lock()
            self._set_aside(gone)
            reached("mongo.restore.gone")
        for put in record.puts:
            self._require_lock()
            self._put(put)
            reached("mongo.restore.put")
        self._catalogue(record)
        shut_out()
        reached("mongo.restore.shut_out")
        MongoJournal(self._db).note_history()
        self._record.end()
        return tuple(
            Kept(BackendName.MONGO, gone.name, gone.aside, gone.documents)
            for gone in record.gone
            if gone.aside
        )

    def _fates(self, record: Record) -> list[Gone]:
        """Decide what becomes of what was made since: data is kept, renamed."""
        asides, found = Asides(self._db), []
        taken: set[str] = set()
        for name in record.made_since:
            info = collection_info(self._db, name)
            has_data = info is not None and info["type"] != "view"
            count = self._db[name].count_documents({}) if has_data else 0
            if not count or name.startswith(_JOURNALS):
                found.append(Gone(name))
                continue
            aside = asides.free_name(record.revision, name)
            while aside in taken:
                aside = f"{aside}_"
            taken.add(aside)
            found.append(Gone(name, aside, count))
        return found

    def _entries_to_stay(self, record: Record) -> list[Doc]:
        """Return the catalog's entries of asides that were made since the backup."""
        sides = {put.name: put.side for put in record.puts}
        there = set(self._db.list_collection_names())
        known = set()
        if CATALOG in sides:
            then = native(self._db, sides[CATALOG])
            known = {entry["_id"] for entry in then.find({}, {"_id": True})}
        entries = native(self._db, CATALOG).find({})
        return [e for e in entries if e["_id"] in there and e["_id"] not in known]

    def _set_aside(self, gone: Gone) -> None:
        info = collection_info(self._db, gone.name)
        if info is None:
            return
        if not gone.aside:
            self._db.drop_collection(gone.name)
        elif info["type"] == "timeseries":
            # It cannot be renamed; its measurements can be kept as plain documents.
            stages: list[Doc] = [{"$out": gone.aside}]
            self._db[gone.name].aggregate(stages)
            self._db.drop_collection(gone.name)
        elif collection_info(self._db, gone.aside) is None:
            rename(self._db, gone.name, gone.aside)

    def _put(self, put: Put) -> None:
        """Put one collection into place; a side that is gone is already in place."""
        if put.side and collection_info(self._db, put.side) is None:
            return
        info = collection_info(self._db, put.name)
        is_plain = info is not None and info["type"] == "collection"
        if put.way == "rename":
            if info is not None and not is_plain:
                self._db.drop_collection(put.name)  # a rename drops no view
            self._rename(put)
        elif put.way == "view":
            self._db.drop_collection(put.name)
            command(self._db, {"create": put.name, **put.options})
        else:
            self._copy(put)

    def _rename(self, put: Put) -> None:
        names = f"{self._db.name}.{put.side}", f"{self._db.name}.{put.name}"
        try:
            command(
                self._db.client.admin,
                {"renameCollection": names[0], "to": names[1], "dropTarget": True},
            )
        except OperationFailure as error:
            if error.code != _NO_NAMESPACE:
                raise

    def _copy(self, put: Put) -> None:
        """Recreate a collection, filled from its side; from the start after a kill."""
        if put.name.startswith("system."):
            self._db[put.name].delete_many({})
        else:
            self._db.drop_collection(put.name)
            command(self._db, {"create": put.name, **put.options})
        reached("mongo.restore.copy")
        put_in(
            self._db,
            put.data,
            self._waiting(put.side),
            bypass="validator" in put.options,
        )
        if put.indexes:
            indexes = list(put.indexes)
            command(self._db, {"createIndexes": put.name, "indexes": indexes})
        self._db.drop_collection(put.side)

    def _waiting(self, side: str) -> Iterator[list[bytes]]:
        documents = (bytes(document.raw) for document in self._db[side].find())
        return iter(lambda: [*islice(documents, _BATCH)], [])

    def _catalogue(self, record: Record) -> None:
        """Enter what is kept into the restored catalog, for people."""
        catalog = native(self._db, CATALOG)
        for entry in record.entries:
            catalog.replace_one(
                {"_id": entry["_id"]}, {**entry, "open": False}, upsert=True
            )
        for gone in record.gone:
            if gone.aside:
                catalog.update_one(
                    {"_id": gone.aside},
                    {
                        "$set": _entry(record.revision, gone),
                        "$currentDate": {"created_at": True},
                    },
                    upsert=True,
                )
        reached("mongo.restore.catalog")
        for name in self._db.list_collection_names():
            if name.startswith(SIDE):
                self._db.drop_collection(name)


def _entry(revision: str, gone: Gone) -> dict[str, Any]:
    return {
        "revision": revision,
        "direction": str(Direction.UPGRADE),
        "step": 0,
        "verb": "restore",
        "holds": str(Holds.COLLECTION),
        "collection": gone.name,
        "field": "",
        "open": False,
    }
