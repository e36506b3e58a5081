"""Reading a collection in `_id` order, one batch at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.cursor import Cursor

from ...errors import OperationError
from ...ops import MISSING
from ..expressions.id_list import NONE, IdList, ids_stages, value_of
from ..expressions.listed_ids import Listed
from ..expressions.ranges import Query, beginnings_of, both, ids_in, range_of
from ..expressions.raw_bson import (
    SYMBOL,
    Element,
    as_document,
    id_key,
    id_of,
    survives_decoding,
)
from ..server.failures import shown
from .step_under_way import Work

MOST_BYTES = 8 * 1024 * 1024
"""The size in bytes at which a batch ends early: large documents make small batches."""


class Reads(Enum):
    """What a walk has to read of the documents it passes.

    BOUNDS: only how far a batch goes, which is the cheapest. IDS: their `_id`s.
    DOCUMENTS: the documents, or a projection of them.
    """

    BOUNDS = "bounds"
    IDS = "ids"
    DOCUMENTS = "documents"


@dataclasses.dataclass(frozen=True)
class Walk:
    """Which documents to pass over, and what to read of them.

    query: a filter as `find` takes it. batch_size: documents in a batch at most; None:
    as many as the time of a batch allows. shape: a projection, expressions allowed, for
    Reads.DOCUMENTS; None reads them whole. phase: walks of one operation are numbered
    in their order. exempt: asides; documents that were put back from them, or refused,
    are passed over. workers: how many parts of the `_id` range are walked in parallel.
    clustered: the collection is stored by `_id`, without an index on it. odd_ids: it
    has `_id`s of the types ODD, which must be read from the documents.
    until: the last `_id` when the walk began; an app that goes on inserting is not
    followed. documents: how many it has, about. document_bytes: their average size.
    remembers: its batches are in Touched, with their ranges. listed: the `_id`s that
    the query lists, if many. leaves_out: the documents that an undo of the operation
    left are passed over (Staying); for Reads.IDS and Reads.DOCUMENTS. on_refused:
    called instead of the write for a document that a unique index refuses; None: the
    walk fails.
    """

    collection: str
    query: Query
    batch_size: int | None
    reads: Reads = Reads.IDS
    shape: Mapping[str, Any] | None = None
    phase: int = 0
    exempt: tuple[str, ...] = ()
    workers: int = 1
    clustered: bool = False
    odd_ids: bool = False
    until: Any = MISSING
    documents: int = 0
    document_bytes: int = 1
    remembers: bool = False
    leaves_out: bool = False
    listed: Listed | None = None
    on_refused: Callable[[Work, Batch, ClientSession], None] | None = None

    def within(self, place: Mapping[str, Any], *, at_most: int | None = None) -> Walk:
        """Return the walk with only the part of a long `_id` list that is in a range.

        place, at_most: as Listed.query takes them.
        """
        if self.listed is None or not self.listed.covers(place):
            return self
        return dataclasses.replace(
            self, query=self.listed.query(place, at_most=at_most)
        )


@dataclasses.dataclass(frozen=True)
class Batch:
    """The documents of a walk between two `_id`s.

    ids: sorted; empty with Reads.BOUNDS. documents: for Reads.DOCUMENTS, in the shape
    that the walk asked for, in the order of ids. round: from 0; a later one finds what
    the app wrote behind the walk. last: the `_id` that the walk has reached. reach: its
    range, from the walk's previous position, as `range_of` takes it. query: finds
    exactly these documents, in the same transaction. of: for documents that are caught
    up, the key of the batch that walked over their range. left_out: `_id`s that the
    walk passed over. is_last: there was nothing after it when it was read. alone: it is
    the only one of its walk, so that which documents it saw is kept in memory.
    """

    walk: Walk
    ids: IdList
    documents: tuple[RawBSONDocument, ...]
    round: int
    last: Any
    reach: Mapping[str, Any]
    query: Query
    of: Mapping[str, Any] | None = None
    left_out: IdList = NONE
    is_last: bool = False
    alone: bool = False

    @classmethod
    def empty(cls, walk: Walk) -> Batch:
        """Return the batch of a walk that finds nothing."""
        return cls(walk, NONE, (), 0, MISSING, {}, walk.query, alone=True)

    def without(self, out: Collection[bytes]) -> Batch:
        """Return the batch without some documents, by the keys of their `_id`s."""
        ids = self.ids.without(out)
        return dataclasses.replace(
            self,
            ids=ids,
            documents=tuple(doc for doc in self.documents if id_key(doc) not in out),
            query=both(ids_in(ids), self.walk.query),
            left_out=IdList.joined([self.left_out, self.ids.only(out)]),
        )

    @property
    def is_empty(self) -> bool:
        """True if everything that was read is passed over."""
        return self.walk.reads is not Reads.BOUNDS and not self.ids


def read(
    work: Work,
    walk: Walk,
    place: Mapping[str, Any],
    *,
    size: int,
    session: ClientSession,
) -> Batch | None:
    """Return the next batch; None if the walk has reached its end.

    place: `last`, the `_id` that the walk has reached, and `until`, where it ends; both
    may be missing.
    """
    if walk.listed is None or not walk.listed.covers(place):
        return _read(work, walk, place, size=size, session=session)
    passed = place
    while ids := (some := walk.within(passed, at_most=size)).query["_id"]["$in"]:
        batch = _read(work, some, passed, size=size, session=session)
        if batch is not None:
            began = {key: place[key] for key in place if key == "last"}
            reach = {**began, "until": batch.last}
            return dataclasses.replace(batch, reach=reach)
        passed = {**passed, "last": ids[-1]}
    return None


def _read(
    work: Work,
    walk: Walk,
    place: Mapping[str, Any],
    *,
    size: int,
    session: ClientSession,
) -> Batch | None:
    within_reach = place
    if walk.until is not MISSING and "last" in place and "until" not in place:
        within_reach = {**place, "until": walk.until}
    for beginning in beginnings_of(within_reach):
        query = both(beginning, walk.query)
        if walk.reads is Reads.BOUNDS:
            ids = IdList.of(())
            documents: tuple[RawBSONDocument, ...] = ()
            last = _bound(work, walk, query, place, size, session)
            is_full = last is not MISSING
        else:
            ids, documents = _contents(work, walk, query, place, size, session)
            last = _last(walk, ids.last) if ids else MISSING
            is_full = len(ids) == size or _is_capped(documents)
        if is_full:
            break
    else:
        if walk.reads is Reads.BOUNDS:
            last = end_of(work, walk, query, session)
        if last is MISSING:
            return None
    span = {key: place[key] for key in place if key == "last"} | {"until": last}
    within = both(range_of(span), walk.query)
    batch = Batch(
        walk,
        ids,
        documents,
        place.get("round", 0),
        last,
        span,
        within,
        is_last=not is_full,
    )
    return _without_exempt(work, batch, session)


def read_some(
    work: Work,
    walk: Walk,
    query: Query,
    *,
    of: Mapping[str, Any],
    size: int,
    session: ClientSession,
) -> Batch | None:
    """Return up to `size` matching documents, as a batch of a later round."""
    ids, documents = _contents(work, walk, query, {}, size, session)
    if not ids:
        return None
    within = both(ids_in(ids), walk.query)
    last = _last(walk, ids.last)
    batch = Batch(walk, ids, documents, 1, last, {}, within, of)
    return _without_exempt(work, batch, session)


def _without_exempt(work: Work, batch: Batch, session: ClientSession) -> Batch:
    """Return a batch without the documents that its walk passes over."""
    walk, out = batch.walk, set[bytes]()
    if walk.leaves_out:
        out = work.bench.staying.left_out(work.record, batch.ids, session)
    for aside in walk.exempt:
        decided = [{"put_back": {"$exists": True}}, {"refused": True}]
        query = both(ids_in(batch.ids), {"$or": decided})
        found = work.db[aside].find(query, {"_id": True}, session=session)
        out |= set(map(id_key, found))
    if not (walk.exempt or out):
        return batch
    return batch.without(out)


def _last(walk: Walk, found: Element) -> Any:
    """Return an `_id` that a walk may continue from.

    Raises OperationError for one that PyMongo would write as a different value.
    """
    if found.kind != SYMBOL and not survives_decoding(as_document(found.bytes)):
        raise OperationError(
            f"{walk.collection} has an _id that PyMongo cannot read and write "
            f"back: {shown(value_of(found))}",
            hint="Insert that document with another _id, and delete the old one.",
        )
    return value_of(found)


def _bound(
    work: Work,
    walk: Walk,
    query: Query,
    place: Mapping[str, Any],
    size: int,
    session: ClientSession,
) -> Any:
    """Return the `_id` that a full batch ends at, without reading those before it.

    MISSING if there are not that many left.
    """
    target, only_id = work.db[walk.collection], {"_id": True}
    found = target.find(
        query, only_id, sort=[("_id", 1)], skip=size - 1, limit=1, session=session
    )
    for document in _from(walk, found, place):
        return _last(walk, id_of(document))
    return MISSING


def end_of(
    work: Work, walk: Walk, query: Query, session: ClientSession | None = None
) -> Any:
    """Return the last `_id` that a query finds; MISSING if there is none."""
    end = work.db[walk.collection].find_one(
        query, {"_id": True}, sort=[("_id", -1)], session=session
    )
    return MISSING if end is None else _last(walk, id_of(end))


def _from(
    walk: Walk, cursor: Cursor[RawBSONDocument], place: Mapping[str, Any]
) -> Cursor[RawBSONDocument]:
    """Let a cursor on a clustered collection begin at the walk's position.

    `$expr` would read such a collection from its beginning: on MongoDB 6.0 it gives
    bounds only to an index.
    """
    if walk.clustered and "last" in place:
        return cursor.min([("_id", place["last"])]).hint([("_id", 1)])
    return cursor


def _contents(
    work: Work,
    walk: Walk,
    query: Query,
    place: Mapping[str, Any],
    size: int,
    session: ClientSession,
) -> tuple[IdList, tuple[RawBSONDocument, ...]]:
    """Return the `_id`s of a batch, and its documents if the walk reads them."""
    if walk.reads is not Reads.DOCUMENTS and not walk.clustered and not walk.odd_ids:
        return _ids(work, walk, query, size, session), ()
    shape = walk.shape if walk.reads is Reads.DOCUMENTS else {"_id": True}
    cursor = work.db[walk.collection].find(
        query, shape, sort=[("_id", 1)], limit=size, session=session
    )
    documents = read_capped(_from(walk, cursor, place))
    return IdList.of(documents), documents


def _ids(
    work: Work, walk: Walk, query: Query, size: int, session: ClientSession
) -> IdList:
    """Return the `_id`s of a batch, sorted."""
    stages = ids_stages(query, at_most=size)
    for found in work.db[walk.collection].aggregate(stages, session=session):
        return IdList.grouped(found)
    return IdList.of(())


def read_capped(cursor: Cursor[RawBSONDocument]) -> tuple[RawBSONDocument, ...]:
    """Read a cursor up to MOST_BYTES, but at least one document if there is one."""
    documents, size_bytes = [], 0
    with cursor:
        for document in cursor:
            documents.append(document)
            size_bytes += len(document.raw)
            if size_bytes >= MOST_BYTES:
                break
    return tuple(documents)


def _is_capped(documents: Sequence[RawBSONDocument]) -> bool:
    return sum(len(document.raw) for document in documents) >= MOST_BYTES
