"""Which documents an undo left as they are because they were changed since.

They stay as the operation made them, with what the app has written to them, so the next
run of the operation must leave out exactly these. They are remembered until the
revision is complete, in the collection of Touched, and are backed up with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from ...revisions import Direction
from ...runtime.crashpoints import around
from ..expressions.id_list import IdList
from ..expressions.raw_bson import Element, as_document, field_of, key_of
from ..server.views import ExactDatabase, native
from .step_record import StepRecord
from .written_documents import TOUCHED

_MANY = 1000
_DOCUMENT = 0x03


class Why(StrEnum):
    """What happened to a document that an operation wrote.

    CHANGED: it was changed since, and stays. DELETED: it was deleted since, so there is
    nothing to undo. UNDONE: it is undone; earlier batches that wrote it too no longer
    count for it.
    """

    CHANGED = "changed"
    DELETED = "deleted"
    UNDONE = "undone"


class Staying:
    """The documents of one database, by the operation that wrote them.

    An operation is identified by its `group`, which its records have in each run.
    """

    def __init__(self, db: ExactDatabase) -> None:
        self._raw = db[TOUCHED]
        self._entries = native(db, TOUCHED)

    def add(
        self,
        record: StepRecord,
        ids: IdList,
        session: ClientSession,
        *,
        why: Why = Why.CHANGED,
        details: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """Remember documents. details: key of `_id` -> digest of what was written."""
        told = details or {}
        same = {"why": str(why), "collection": record.subject.get("collection")}
        writes = [
            UpdateOne(
                {"_id": _key(record, _id)},
                {"$set": {**same, "wrote": told.get(key_of(_id))}},
                upsert=True,
            )
            for _id in ids.elements
        ]
        if writes:
            self._entries.bulk_write(writes, ordered=False, session=session)

    def any(self, record: StepRecord, session: ClientSession | None = None) -> bool:
        """True if anything is remembered about an operation's documents."""
        found = self._entries.find_one(_of(record), {"_id": True}, session=session)
        return found is not None

    def known(
        self,
        record: StepRecord,
        ids: IdList,
        session: ClientSession | None = None,
        *,
        whys: Collection[Why] = (Why.CHANGED,),
        groups: Collection[str] | None = None,
    ) -> set[bytes]:
        """Return the keys of those among `ids` that are remembered.

        groups: by default only the record's.
        """
        found: set[bytes] = set()
        groups = (record.group,) if groups is None else groups
        keys = [_key(record, _id, of) for of in groups for _id in ids.elements]
        wanted = {"why": {"$in": [str(why) for why in whys]}}
        for at in range(0, len(keys), _MANY):
            query = {"_id": {"$in": keys[at : at + _MANY]}, **wanted}
            entries = self._raw.find(query, {"_id": True}, session=session)
            found |= {key_of(_document_id(entry)) for entry in entries}
        return found

    def left_out(
        self, record: StepRecord, ids: IdList, session: ClientSession | None = None
    ) -> set[bytes]:
        """Return the keys of those among `ids` that a run leaves out.

        What stayed of a later step's insert counts as not there yet.
        """
        return self.known(record, ids, session, groups=(record.group, *record.later))

    def left(self, record: StepRecord) -> Iterator[tuple[Element, bytes | None]]:
        """Yield the `_id`s of what is left out, with the digest of what was written."""
        for group in (record.group, *record.later):
            query = {**_of(record, group), "why": str(Why.CHANGED)}
            for entry in self._raw.find(query):
                yield _document_id(entry), entry["wrote"]

    def count(
        self, record: StepRecord, why: Why = Why.CHANGED, *, group: str | None = None
    ) -> int:
        query = {**_of(record, group), "why": str(why)}
        return self._entries.count_documents(query)

    @around("mongo.staying.begin")
    def begin(self, record: StepRecord, *, leaves_out: bool) -> None:
        """Forget what a new run of an operation does not depend on.

        leaves_out: whether it leaves out the documents that stayed.
        """
        which = {"why": {"$ne": str(Why.CHANGED)}} if leaves_out else {}
        self._entries.delete_many({**_of(record), **which})

    @around("mongo.staying.gone")
    def gone(self, record: StepRecord, collection: str) -> None:
        """Forget the documents of a collection that is moved aside as a whole."""
        half = _half(record.direction, {"$eq": record.revision})
        self._entries.delete_many({**half, "collection": collection})

    @around("mongo.staying.stamp")
    def stamp(self, applied: Sequence[str], session: ClientSession) -> None:
        """Forget what is useless when exactly these revisions are applied."""
        self._entries.delete_many(
            {
                "_id.left": {"$exists": True},
                "$or": [
                    _half(Direction.UPGRADE, {"$in": list(applied)}),
                    _half(Direction.DOWNGRADE, {"$nin": list(applied)}),
                ],
            },
            session=session,
        )


def _half(direction: Direction, revisions: Mapping[str, Any]) -> dict[str, Any]:
    return {"_id.direction": str(direction), "_id.revision": revisions}


def _key(record: StepRecord, _id: Element, group: str | None = None) -> RawBSONDocument:
    of = record.group if group is None else group
    left = as_document(_fields(of=of), _id.named("id").bytes)
    step = _fields(revision=record.revision, direction=str(record.direction))
    return RawBSONDocument(as_document(step, Element(_DOCUMENT, b"left", left).bytes))


def _fields(**fields: str) -> bytes:
    return bson.encode(fields)[4:-1]


def _document_id(entry: RawBSONDocument) -> Element:
    """Return the `_id` of an entry's document, as it is stored."""
    inner = entry
    for name in ("_id", "left"):
        inner = RawBSONDocument(_there(inner, name).value)
    return _there(inner, "id")


def _there(document: RawBSONDocument, name: str) -> Element:
    found = field_of(document, name)
    assert found is not None  # as `_key` has made it
    return found


def _of(record: StepRecord, group: str | None = None) -> dict[str, Any]:
    of = record.group if group is None else group
    step = {"revision": record.revision, "direction": str(record.direction)}
    lowest = {**step, "left": {"of": of}}
    highest = {**step, "left": {"of": f"{of}\0"}}
    return {"_id": {"$gt": lowest, "$lt": highest}}
