"""Which documents an operation wrote, batch by batch.

An undo removes the entries in the same transactions that undo them: what is left in the
collection is what is left to undo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...revisions import Direction
from ...runtime.crashpoints import around
from ..expressions.id_list import NONE, IdList
from ..expressions.raw_bson import as_document, field_of
from ..server.views import EXACT, ExactDatabase, command, native
from .step_record import StepRecord

TOUCHED = "_migrations_touched"


class Touched:
    """The entries of one database; an entry is a batch.

    ids: the documents written. details: one value per document, in the same order, for
    the undo to use, see `fate_of`; wrote: one value for all of them. others: documents
    that were seen but not written. reach: the range of the batch, as `range_of` takes
    it; of: instead of it, for documents that were caught up, the key of the batch that
    walked over their range. again: of a later round, which may have met them once more.
    """

    def __init__(self, db: ExactDatabase, *, transactions: bool = True) -> None:
        self._db = db
        self._transactions = transactions
        self._entries = native(db, TOUCHED)

    def prepare(self) -> None:
        """Create the collection, outside of a transaction, with the index on `of`."""
        index = {"key": {"of": 1}, "name": "of", "sparse": True}
        command(self._db, {"createIndexes": TOUCHED, "indexes": [index]})

    def add(
        self,
        record: StepRecord,
        ids: Sequence[Any],
        session: ClientSession,
        *,
        details: Sequence[Any] = (),
        others: IdList | None = None,
        **more: Any,
    ) -> None:
        """Remember the documents of a batch. more: as in the docstring of the class."""
        key, written = batch_key(record), IdList.like(ids)
        beside = () if others is None else (others.named("others"),)
        if self._transactions:
            rest = {"_id": key, "details": list(details), **more}
            entry = bson.encode(rest, codec_options=EXACT)[4:-1]
            whole = as_document(entry, written.named("ids"), *beside)
            self._db[TOUCHED].insert_one(RawBSONDocument(whole), session=session)
            return
        # A crash may have left the entry of this batch, which is now done again.
        ids_now, told = self._with_those_before(key, written, details)
        rest = {"details": told, **more}
        fields = bson.encode(rest, codec_options=EXACT)[4:-1]
        whole = as_document(fields, ids_now.named("ids"), *beside)
        setting = {"$set": RawBSONDocument(whole)}
        self._entries.update_one({"_id": key}, setting, upsert=True, session=session)

    def _with_those_before(
        self, key: Mapping[str, Any], ids: IdList, details: Sequence[Any]
    ) -> tuple[IdList, list[Any]]:
        """Return what an entry must contain after a batch that may be repeated.

        A document's former state is the one recorded the first time.
        """
        entry = self._db[TOUCHED].find_one({"_id": key})
        if entry is None:
            return ids, list(details)
        before = _ids_of(entry, "ids")
        every = IdList.joined([before, ids.without(before.keys)])
        if not details and not entry["details"]:
            return every, []
        told = dict(zip(before.keys, entry["details"], strict=False))
        for each, detail in zip(ids.keys, details, strict=True):
            first = told.get(each)
            told[each] = detail
            if isinstance(first, Mapping) and "was" in first:
                told[each] = {**detail, "was": first["was"]}
        return every, [told.get(each, {}) for each in every.keys]

    def last(
        self, record: StepRecord, session: ClientSession, *, at_most: int
    ) -> Mapping[str, Any] | None:
        """Return the newest entry of a step; None if none is left.

        Its `ids` are an IdList, its `wrote` is as stored. at_most: return only the end
        of a longer entry, and in `rest` what comes before it.
        """
        found = self._db[TOUCHED].find_one(
            _entries_of(record), sort=[("_id", -1)], session=session
        )
        if found is None:
            return None
        ids, details = _ids_of(found, "ids"), list(found["details"])
        entry = {
            "_id": found["_id"],
            "ids": ids,
            "details": details,
            "wrote": field_of(found, "wrote"),
            "again": "again" in found,
        }
        if len(ids) <= at_most:
            return entry
        first, end = ids.split(len(ids) - at_most)
        kept = bson.encode({"details": details[:-at_most]}, codec_options=EXACT)[4:-1]
        rest = RawBSONDocument(as_document(kept, first.named("ids")))
        return {**entry, "ids": end, "details": details[-at_most:], "rest": rest}

    def begun(self, record: StepRecord) -> IdList:
        """Return the `_id`s of a batch that was begun without transactions."""
        entry = self._db[TOUCHED].find_one({"_id": batch_key(record)}, {"ids": True})
        return NONE if entry is None else _ids_of(entry, "ids")

    def describe(
        self, record: StepRecord, digests: Callable[[IdList], list[bytes]]
    ) -> None:
        """Add the state of a batch's documents after the write, without transactions.

        Documents for which this is already recorded were written by an earlier run.
        """
        key = batch_key(record)
        ids = self.begun(record)
        now = dict(zip(ids.keys, digests(ids), strict=True))
        self._retell(key, lambda id_, told: {"is": now[id_], **told})

    def undo_begins(self, entry: Mapping[str, Any], ids: IdList) -> None:
        """Mark documents that are about to be undone, without transactions.

        Their state after that is unknown: after a kill, the next undo finds the mark,
        and does not take them for changed.
        """
        keys = set(ids.keys)

        def marked(id_: bytes, told: dict[str, Any]) -> dict[str, Any]:
            return {**told, "undoing": True} if id_ in keys else told

        self._retell(entry["_id"], marked)

    def _retell(
        self,
        key: Mapping[str, Any],
        change: Callable[[bytes, dict[str, Any]], dict[str, Any]],
    ) -> None:
        entry = self._db[TOUCHED].find_one({"_id": key})
        if entry is None:
            return
        keys = _ids_of(entry, "ids").keys
        details = [*map(told_in, entry["details"])] or [{}] * len(keys)
        told = [change(*each) for each in zip(keys, details, strict=True)]
        self._entries.update_one({"_id": key}, {"$set": {"details": told}})

    def take_off(self, entry: Mapping[str, Any], session: ClientSession) -> None:
        """Remove what `last` returned."""
        key = {"_id": entry["_id"]}
        if "rest" in entry:
            self._entries.update_one(key, {"$set": entry["rest"]}, session=session)
        else:
            self._entries.delete_one(key, session=session)

    def reaches(
        self, record: StepRecord
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], int]]:
        """Yield the key and the range of each batch of a step's walk.

        Also yields how many documents it wrote.
        """
        walked = {**_entries_of(record), "reach": {"$exists": True}}
        shape = {"reach": True, "count": {"$size": "$ids"}}
        for entry in self._entries.find(walked, shape).sort("_id", 1):
            yield entry["_id"], entry["reach"], entry["count"]

    def raw_ids(self, key: Mapping[str, Any]) -> bytes | None:
        """Return the `_id`s that a batch wrote, as bytes; see IdList.element."""
        shape = {"_id": False, "ids": True}
        found = self._db[TOUCHED].find_one({"_id": key}, shape)
        return None if found is None else bytes(found.raw)[4:-1]

    def seen(
        self, key: Mapping[str, Any], session: ClientSession | None = None
    ) -> IdList:
        """Return the `_id`s seen in the range of a batch, including those caught up."""
        query = {"$or": [{"_id": key}, {"of": key}]}
        shape = {"_id": False, "ids": True, "others": True}
        found = list(self._db[TOUCHED].find(query, shape, session=session))
        return IdList.joined(
            _ids_of(entry, name) for entry in found for name in ("ids", "others")
        )

    @around("mongo.touched.forget")
    def forget(self, record: StepRecord) -> None:
        """Remove the entries of a step that is done and cannot be undone anyway."""
        self._entries.delete_many(_entries_of(record))

    @around("mongo.touched.remove")
    def remove(self, attempts: Sequence[tuple[str, Direction]]) -> None:
        """Forget revisions that are complete, and what stayed of them (see Staying)."""
        those = [
            {"_id.revision": revision, **which}
            for revision, direction in attempts
            for which in (
                {"_id.direction": str(direction)},
                {"_id.left": {"$exists": True}},
            )
        ]
        self._entries.delete_many({"$or": those})


def told_in(detail: Any) -> dict[str, Any]:
    """Return a detail as a mapping; it may be stored as a bare digest."""
    return dict(detail) if isinstance(detail, Mapping) else {"is": detail}


def _ids_of(entry: RawBSONDocument, name: str) -> IdList:
    """Return the `_id`s of an entry; none if it has no such field."""
    found = field_of(entry, name)
    return IdList(as_document() if found is None else found.value)


def _step(record: StepRecord) -> dict[str, Any]:
    return {
        "revision": record.revision,
        "direction": str(record.direction),
        "step": record.step,
    }


def batch_key(record: StepRecord) -> dict[str, Any]:
    """Return the key of the entry of a step's next batch."""
    return {**_step(record), "batch": record.batches, "part": record.part or 0}


def _entries_of(record: StepRecord) -> dict[str, Any]:
    lowest = {**_step(record), "batch": -1}
    highest = {**_step(record), "batch": 2**62}
    return {"_id": {"$gt": lowest, "$lt": highest}}
