"""Walking a collection in batches, each one transaction with its own checkpoint.

The walk goes by `_id` through `$expr`, which orders all BSON types; `{_id: {$gt: x}}`
compares within the type of x and loses the documents of the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.cursor import Cursor
from pymongo.errors import ExecutionTimeout

from ..errors import OperationError
from .failures import shortened
from .work import Work, as_bytes

Query = Mapping[str, Any]

MOST_BYTES = 8 * 1024 * 1024
"""A batch ends here, before its batch_size: large documents make small batches."""

_COUNT_MS = 2000
_ROUNDS = 100
_SAMPLES = 5


@dataclasses.dataclass(frozen=True)
class Walk:
    """Which documents to pass over, and what to read of them.

    query: a filter as `find` takes it. shape: a projection, expressions allowed; None
    reads whole documents. phase: walks of one operation are numbered in their order.
    exempt: asides; documents that were put back from them are passed over.
    """

    collection: str
    query: Query
    batch_size: int
    shape: Mapping[str, Any] | None = None
    phase: int = 0
    exempt: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Batch:
    """Documents of a walk, sorted by `_id`, in the shape that it asked for.

    round: from 0; a later one finds what the app wrote behind the walk.
    last: the `_id` that the walk has come to.
    """

    walk: Walk
    documents: tuple[RawBSONDocument, ...]
    round: int
    last: Any

    @property
    def ids(self) -> list[Any]:
        return [document["_id"] for document in self.documents]

    @property
    def query(self) -> Query:
        """The filter that finds just these documents, in the same transaction."""
        if self.walk.exempt:
            return both(ids_in(self.ids), self.walk.query)
        first, last = self.documents[0]["_id"], self.documents[-1]["_id"]
        between = {
            "$and": [
                {"$gte": ["$_id", {"$literal": first}]},
                {"$lte": ["$_id", {"$literal": last}]},
            ]
        }
        return both({"$expr": between}, self.walk.query)


Write = Callable[[Batch, ClientSession], int]
"""Does the work of a batch in its transaction; returns how many documents it wrote.

It may be called again with the same batch, after the transaction was aborted.
"""


def walk_once(work: Work, walk: Walk, write: Write) -> None:
    """Pass over a collection once, unless an earlier run completed that phase."""
    if _behind(work, walk):
        return
    _expect(work, walk)
    _pass_over(work, walk, write)
    _leave(work, walk)


def walk_until_none_left(
    work: Work,
    walk: Walk,
    write: Write,
    *,
    left: Query | None = None,
    problem: str,
) -> None:
    """Walk, then count what is left, and walk again for what the app wrote meanwhile.

    left: what must not be there at the end; the walk's own query unless given.
    Raises OperationError with up to five `_id`s if a round writes nothing and some are
    left. problem: the end of its sentence, "… documents of item {problem}".
    """
    if _behind(work, walk):
        return
    _expect(work, walk)
    left = walk.query if left is None else left
    for _ in range(_ROUNDS):
        whole_round = "last" not in work.record.checkpoint
        written = _pass_over(work, walk, write)
        if not _count(work, walk.collection, left, walk.exempt):
            _leave(work, walk)
            return
        if whole_round and not written:
            break
        number = work.record.checkpoint.get("round", 0) + 1
        work.save(checkpoint={"phase": walk.phase, "round": number})
    refuse_if_any(work, walk.collection, left, problem=problem, exempt=walk.exempt)


def _behind(work: Work, walk: Walk) -> bool:
    """True if a walk was completed, by an earlier run."""
    return bool(work.record.checkpoint.get("phase", 0) > walk.phase)


def _leave(work: Work, walk: Walk) -> None:
    work.save(checkpoint={"phase": walk.phase + 1})


def _pass_over(work: Work, walk: Walk, write: Write) -> int:
    """Walk on from the checkpoint; return how many documents were written."""
    before = work.record.documents
    while work.transact(lambda session: _next_batch(work, walk, write, session)):
        pass
    return work.record.documents - before


def _next_batch(work: Work, walk: Walk, write: Write, session: ClientSession) -> bool:
    """Read, write and checkpoint one batch; return False if none is left."""
    place = work.record.checkpoint
    if place.get("phase", 0) != walk.phase:
        place = {"phase": walk.phase}
    batch = _read(work, walk, place, session)
    if batch is None:
        return False
    documents = write(batch, session) if batch.documents else 0
    place = {"phase": walk.phase, "round": batch.round, "last": batch.last}
    work.checkpoint(session, place, documents=documents)
    return True


def _read(
    work: Work, walk: Walk, place: Mapping[str, Any], session: ClientSession
) -> Batch | None:
    """Return the next batch; None if the walk has come to its end."""
    query = walk.query
    if "last" in place:
        query = both(after(place["last"]), query)
    cursor = work.db[walk.collection].find(
        query,
        walk.shape,
        sort=[("_id", 1)],
        limit=walk.batch_size,
        session=session,
    )
    documents = read_capped(cursor)
    if not documents:
        return None
    last = documents[-1]["_id"]
    for aside in walk.exempt:
        documents = _without_put_back(work, aside, documents, session)
    return Batch(walk, documents, place.get("round", 0), last)


def _without_put_back(
    work: Work,
    aside: str,
    documents: tuple[RawBSONDocument, ...],
    session: ClientSession,
) -> tuple[RawBSONDocument, ...]:
    ids = [document["_id"] for document in documents]
    query = both(ids_in(ids), {"put_back": {"$exists": True}})
    found = work.db[aside].find(query, {"_id": True}, session=session)
    back = {as_bytes(document["_id"]) for document in found}
    return tuple(doc for doc in documents if as_bytes(doc["_id"]) not in back)


def read_capped(cursor: Cursor[RawBSONDocument]) -> tuple[RawBSONDocument, ...]:
    """Read a cursor up to MOST_BYTES, one document at least if there is one."""
    documents, size_bytes = [], 0
    with cursor:
        for document in cursor:
            documents.append(document)
            size_bytes += len(document.raw)
            if size_bytes >= MOST_BYTES:
                break
    return tuple(documents)


def refuse_if_any(
    work: Work,
    collection: str,
    query: Query,
    *,
    problem: str,
    field: str | None = None,
    hint: str | None = None,
    exempt: Sequence[str] = (),
) -> None:
    """Raise OperationError if documents match, with their number and a few of them.

    field: a path whose values are shown beside the `_id`s. exempt: as in Walk.
    """
    shape = {"_id": True} | ({"value": f"${field}"} if field else {})
    samples = _samples(work, collection, query, shape, exempt)
    if not samples:
        return
    count = _count(work, collection, query, exempt)
    noun = "document" if count == 1 else "documents"
    shown = ", ".join(map(_sample, samples))
    more = ", …" if count > len(samples) else ""
    raise OperationError(
        f"{count} {noun} of {collection} {problem}: {shown}{more}", hint=hint
    )


def _samples(
    work: Work,
    collection: str,
    query: Query,
    shape: Mapping[str, Any],
    exempt: Sequence[str],
) -> list[RawBSONDocument]:
    target = work.db[collection]
    if not exempt:
        return list(target.find(query, shape, limit=_SAMPLES))
    stages = [*_not_exempt(query, shape, exempt), {"$limit": _SAMPLES}]
    return list(target.aggregate(stages))


def _count(work: Work, collection: str, query: Query, exempt: Sequence[str]) -> int:
    target = work.db[collection]
    if not exempt:
        return target.count_documents(query)
    stages = [*_not_exempt(query, {"_id": True}, exempt), {"$count": "count"}]
    return sum(int(found["count"]) for found in target.aggregate(stages))


def _not_exempt(
    query: Query, shape: Mapping[str, Any], exempt: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Return the pipeline for documents that were not put back from an aside."""
    stages: list[Mapping[str, Any]] = [{"$match": query}, {"$project": shape}]
    for aside in exempt:
        found = {"from": aside, "localField": "_id", "foreignField": "_id"}
        stages += [
            {"$lookup": {**found, "as": "aside"}},
            {"$match": {"aside.put_back": {"$exists": False}}},
        ]
    return stages


def undo_batches(
    work: Work, undo: Callable[[Mapping[str, Any], ClientSession], int]
) -> int:
    """Undo what was touched, newest batch first; return how many documents were left.

    undo: takes an entry of Touched (`ids`, `details`), returns how many of its
    documents it left alone, because they were written since.
    """
    skipped = 0

    def attempt(session: ClientSession) -> int | None:
        entry = work.bench.touched.last(work.record, session)
        if entry is None:
            return None
        left = undo(entry, session)
        work.bench.touched.take_off(entry, session)
        work.checkpoint(session, {}, documents=left - len(entry["ids"]))
        return left

    while (left := work.transact(attempt)) is not None:
        skipped += left
    return skipped


def both(*queries: Query) -> Query:
    """Return the filter for documents that match all of these."""
    filled = [query for query in queries if query]
    return {"$and": filled} if len(filled) > 1 else (filled or [{}])[0]


def after(last: Any) -> Query:
    """Return the filter for documents whose `_id` follows, whatever its type."""
    return {"$expr": {"$gt": ["$_id", {"$literal": last}]}}


def ids_in(ids: list[Any]) -> Query:
    return {"_id": {"$in": ids}}


def _expect(work: Work, walk: Walk) -> None:
    """Count what a walk will pass over, for the progress; not for long."""
    if work.record.total is not None or walk.phase:
        return
    target = work.db[walk.collection]
    try:
        total = target.count_documents(walk.query, maxTimeMS=_COUNT_MS)
    except ExecutionTimeout:
        return
    work.save(total=total)
    work.report()


def _sample(document: RawBSONDocument) -> str:
    text = shortened(repr(_plain(document["_id"])))
    if "value" in document:
        text += f" ({shortened(repr(_plain(document['value'])))})"
    return text


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, RawBSONDocument) else value
