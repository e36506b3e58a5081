"""Which documents an operation wrote, batch by batch.

Undoing takes the entries off again, in the transactions that undo them: what is left
in it is what is left to undo.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ..crashpoints import around
from ..revision import Direction
from .id_list import as_document, ids_element
from .steps import StepRecord
from .views import EXACT, ExactDatabase, as_bytes, command, native

TOUCHED = "_migrations_touched"


class Touched:
    """The entries of one database; an entry is a batch.

    ids: the documents written. details: one value a document, in the same order, for
    the undo to go by. others: documents that were seen, and not written. reach: the
    range of the batch, as `range_of` takes it; of: instead of it, for documents that
    were caught up, the key of the batch that walked over their range.
    """

    def __init__(self, db: ExactDatabase, *, transactions: bool = True) -> None:
        self._db = db
        self._transactions = transactions
        self._entries = native(db, TOUCHED)

    def prepare(self) -> None:
        """Make the collection, outside of a transaction, with the index on `of`."""
        index = {"key": {"of": 1}, "name": "of", "sparse": True}
        command(self._db, {"createIndexes": TOUCHED, "indexes": [index]})

    def add(
        self,
        record: StepRecord,
        ids: Sequence[Any],
        session: ClientSession,
        *,
        details: Sequence[Any] = (),
        **more: Any,
    ) -> None:
        """Remember the documents of a batch. more: as in the docstring of the class."""
        key = _batch(record)
        if self._transactions:
            rest = {"_id": key, "details": list(details), **more}
            entry = bson.encode(rest, codec_options=EXACT)[4:-1]
            whole = as_document(entry, ids_element(ids))
            self._db[TOUCHED].insert_one(RawBSONDocument(whole), session=session)
            return
        # A crash may have left the entry of this batch, whose rest is done now.
        there = set(map(as_bytes, self.seen(key)))
        new = [n for n, _id in enumerate(ids) if as_bytes(_id) not in there]
        push = {"ids": {"$each": [ids[n] for n in new]}}
        push["details"] = {"$each": [details[n] for n in new] if details else []}
        update: dict[str, Any] = {"$push": push}
        if more:
            update["$set"] = more
        self._entries.update_one({"_id": key}, update, upsert=True, session=session)

    def last(
        self, record: StepRecord, session: ClientSession
    ) -> Mapping[str, Any] | None:
        """Return the newest entry of a step, None if there is none left."""
        return self._entries.find_one(
            _entries_of(record), sort=[("_id", -1)], session=session
        )

    def take_off(self, entry: Mapping[str, Any], session: ClientSession) -> None:
        self._entries.delete_one({"_id": entry["_id"]}, session=session)

    def reaches(
        self, record: StepRecord
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], int]]:
        """Yield the key and the range of each batch that a step's walk did.

        And how many documents it wrote.
        """
        walked = {**_entries_of(record), "reach": {"$exists": True}}
        shape = {"reach": True, "count": {"$size": "$ids"}}
        for entry in self._entries.find(walked, shape).sort("_id", 1):
            yield entry["_id"], entry["reach"], entry["count"]

    def raw_ids(self, key: Mapping[str, Any]) -> bytes | None:
        """Return the `_id`s that a batch wrote, as bytes; see `ids_element`."""
        shape = {"_id": False, "ids": True}
        found = self._db[TOUCHED].find_one({"_id": key}, shape)
        return None if found is None else bytes(found.raw)[4:-1]

    def seen(
        self, key: Mapping[str, Any], session: ClientSession | None = None
    ) -> list[Any]:
        """Return the `_id`s seen in the range of a batch, those caught up too."""
        query = {"$or": [{"_id": key}, {"of": key}]}
        shape = {"ids": True, "others": True}
        ids = []
        for entry in self._entries.find(query, shape, session=session):
            ids += [*entry["ids"], *entry.get("others", ())]
        return ids

    @around("mongo.touched.forget")
    def forget(self, record: StepRecord) -> None:
        """Remove the entries of a step that is done, and cannot be undone anyway."""
        self._entries.delete_many(_entries_of(record))

    @around("mongo.touched.remove")
    def remove(self, revision: str, direction: Direction) -> None:
        """Forget a revision that is complete."""
        self._entries.delete_many(
            {"_id.revision": revision, "_id.direction": str(direction)}
        )


def _step(record: StepRecord) -> dict[str, Any]:
    return {
        "revision": record.revision,
        "direction": str(record.direction),
        "step": record.step,
    }


def _batch(record: StepRecord) -> dict[str, Any]:
    return {**_step(record), "batch": record.batches, "part": record.part or 0}


def _entries_of(record: StepRecord) -> dict[str, Any]:
    lowest = {**_step(record), "batch": -1}
    highest = {**_step(record), "batch": 2**62}
    return {"_id": {"$gt": lowest, "$lt": highest}}
