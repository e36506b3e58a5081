"""Putting values back from an aside, at their old position in the document.

A value that the app has written since is not overwritten: the former one stays in the
aside, and a note of the run says how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ....ops import DropField
from ...batches.batches import walk_once
from ...batches.pace import Pace
from ...batches.raw_collection import Target
from ...batches.refused_by_index import note_refused, transact_but_refused
from ...batches.step_under_way import Work
from ...batches.walk import Batch, Reads, Walk, read_capped
from ...batches.written_values import take_out_of, values_in
from ...expressions.id_list import IdList
from ...expressions.paths import FieldPath
from ...expressions.ranges import Query, after, both, ids_in, range_of
from ...expressions.raw_bson import as_document, field_of, id_key, literal_of

_MOST = 50_000
"""The maximum number of documents in a batch."""

Standing = dict[bytes, int]
"""Documents that can contain a field: key of the `_id` -> FieldPath.standing."""


def put_values_back(
    work: Work,
    aside: str,
    *,
    collection: str,
    path: FieldPath,
    phase: int,
    batch_size: int | None,
) -> None:
    """Put back what the upgrade of a downgrade took, if the field is missing.

    The values stay in the aside, marked, until the revision is settled.
    """

    def write(work: Work, batch: Batch, session: ClientSession) -> int:
        standing = fill_in(work, batch.documents, collection, path, session)
        for depth in sorted(set(standing.values())):
            ids = IdList.of(
                document
                for document in batch.documents
                if standing.get(id_key(document)) == depth
            )
            mark(work, aside, ids, depth, session)
        return len(standing)

    walk = Walk(
        aside,
        NOT_PUT_BACK,
        batch_size,
        Reads.DOCUMENTS,
        phase=phase,
        on_refused=mark_refused,
    )
    walk_once(work, walk, write)
    note_leftovers(work, aside, collection, path)


def take_values_again(
    work: Work, aside: str, *, collection: str, path: FieldPath, batch_size: int | None
) -> None:
    """Undo `put_values_back`: remove the fields; the values are still in the aside.

    A field that was changed since stays.
    """

    def take(documents: Sequence[RawBSONDocument], session: ClientSession) -> None:
        ids = IdList.of(documents)
        details = [
            {"at": doc["put_back"], "value": field_of(doc, "value")}
            for doc in documents
        ]
        touched = {"ids": ids, "details": details}
        stays = take_out_of(work, collection, path, touched, session)
        work.bench.staying.add(work.record, stays, session)
        unmark(work, aside, ids, session)

    mark_written(work, aside, collection, path, depth=len(path.parts) - 1)
    drain(work, aside, take, query=PUT_BACK, batch_size=batch_size)
    unmark_refused(work, aside)


def mark_written(
    work: Work, aside: str, collection: str, path: FieldPath, *, depth: int
) -> None:
    """Mark what a killed batch put back and did not mark yet, before it is undone.

    Without transactions its documents are written first. They are after the checkpoint,
    and have the value that the aside keeps for them. depth: as `mark` takes it.
    """
    if work.bench.transactions:
        return
    place = {key: last for key, last in work.record.checkpoint.items() if key == "last"}

    def attempt(session: ClientSession) -> None:
        found = work.db[aside].find(
            both(NOT_PUT_BACK, range_of(place)), sort=[("_id", 1)], limit=_MOST
        )
        kept = read_capped(found)
        there = values_in(work, collection, path, IdList.of(kept), session)
        same = [
            doc
            for doc in kept
            if (now := there.get(id_key(doc))) is not None
            and field_of(now, "value") == field_of(doc, "value")
        ]
        mark(work, aside, IdList.of(same), depth, session)

    work.transact(attempt)


def keep_lacking(work: Work, aside: str, operation: DropField, path: FieldPath) -> None:
    """Remember which documents lack a dropped field, so no downgrade adds it.

    They count as put back already, so that a downgrade passes them over.
    """
    mark = bson.encode({"at": -1, "put_back": LACKED})[4:-1]

    def write(work: Work, batch: Batch, session: ClientSession) -> int:
        target = work.db[aside]
        there = target.find(ids_in(batch.ids), {"_id": True}, session=session)
        ids = batch.ids.without(map(id_key, there))
        lacking = [
            RawBSONDocument(as_document(_id.named("_id").bytes, mark))
            for _id in ids.elements
        ]
        if lacking:
            target.insert_many(lacking, session=session)
        return 0

    query = {"$expr": path.absent}
    walk = Walk(operation.collection, query, operation.batch_size)
    walk_once(work, walk, write, expected=False)


def drop_lacking(work: Work, aside: str, ids: IdList, session: ClientSession) -> None:
    """Forget that documents lacked a field that they have since received."""
    query = both(ids_in(ids), {"put_back": LACKED})
    work.db[aside].delete_many(query, session=session)


def restore_values(
    work: Work, aside: str, *, collection: str, path: FieldPath, batch_size: int | None
) -> None:
    """Undo the removal of values: move them from the aside to where they were."""

    def restore(documents: Sequence[RawBSONDocument], session: ClientSession) -> None:
        standing = fill_in(work, documents, collection, path, session)
        ids = IdList.of(doc for doc in documents if id_key(doc) in standing)
        work.db[aside].delete_many(ids_in(ids), session=session)

    drain(work, aside, restore, query=NOT_PUT_BACK, batch_size=batch_size)
    work.db[aside].delete_many({"put_back": LACKED})
    note_leftovers(work, aside, collection, path)


def fill_in(
    work: Work,
    kept: Sequence[RawBSONDocument],
    collection: str,
    path: FieldPath,
    session: ClientSession,
) -> Standing:
    """Put kept values into their documents that lack the field.

    Without transactions a batch that was killed or refused may be partly written:
    documents that have their value count as put back.
    """
    target = work.db[collection]
    ids = IdList.of(kept)
    there = {}
    if not work.bench.transactions:
        there = values_in(work, collection, path, ids, session)
    query = both(ids_in(ids), {"$expr": path.absent})
    shape = {"_id": True, "standing": path.standing}
    standing = {
        id_key(found): int(found["standing"])
        for found in target.find(query, shape, session=session)
    }
    Target(work, collection, session).update_each(
        (doc, path.put(literal_of(doc, "value"), int(doc["at"])))
        for doc in kept
        if id_key(doc) in standing
    )
    whole = len(path.parts) - 1
    return standing | {
        id_key(doc): whole
        for doc in kept
        if (now := there.get(id_key(doc))) is not None
        and field_of(now, "value") == field_of(doc, "value")
    }


def drain(
    work: Work,
    aside: str,
    take: Callable[[Sequence[RawBSONDocument], ClientSession], None],
    *,
    query: Query | None = None,
    batch_size: int | None,
) -> None:
    """Process an aside in `_id` order; `take` removes or unmarks what it handled.

    There is no checkpoint: what was handled no longer matches, and the rest is
    processed again. What a unique index refuses is passed over, and noted.
    """
    last = tried = IdList.of(())
    pace = Pace(most=batch_size, seconds=0)

    def attempt(session: ClientSession) -> IdList:
        where = both(query or {}, after(last.last) if last else {})
        found = work.db[aside].find(
            where, sort=[("_id", 1)], limit=pace.size, session=session
        )
        nonlocal tried
        documents = read_capped(found)
        tried = IdList.of(documents)
        pace.tried = len(tried)
        if documents:
            take(documents, session)
            work.checkpoint(session, {}, documents=0)
        return tried

    def refuse() -> IdList:
        note_refused(work)
        return tried

    while ids := transact_but_refused(work, pace, attempt, refuse):
        last = ids


NOT_PUT_BACK: Query = {"put_back": {"$exists": False}}
PUT_BACK: Query = {"put_back": {"$gte": 0}}
REFUSED: Query = {"refused": True, **NOT_PUT_BACK}
LACKED = -1
"""The marker of a document that lacked the field: there is nothing to restore."""


def mark_refused(work: Work, batch: Batch, session: ClientSession) -> None:
    """Mark what a unique index refuses: it stays in its aside, not put back."""
    update = {"$set": {"refused": True}}
    work.db[batch.walk.collection].update_many(
        ids_in(batch.ids), update, session=session
    )


def unmark_refused(work: Work, aside: str) -> None:
    work.db[aside].update_many(REFUSED, {"$unset": {"refused": ""}})


def mark(
    work: Work, aside: str, ids: Sequence[Any], depth: int, session: ClientSession
) -> None:
    """Mark values as put back. depth: FieldPath.standing before that."""
    update = {"$set": {"put_back": depth}, "$unset": {"refused": ""}}
    work.db[aside].update_many(ids_in(ids), update, session=session)


def unmark(work: Work, aside: str, ids: Sequence[Any], session: ClientSession) -> None:
    update = {"$unset": {"put_back": ""}}
    work.db[aside].update_many(ids_in(ids), update, session=session)


def note_leftovers(work: Work, aside: str, collection: str, path: FieldPath) -> None:
    """Note how many values could not be put back."""
    refused = work.db[aside].count_documents(REFUSED)
    count = work.db[aside].count_documents(NOT_PUT_BACK) - refused
    if count:
        noun = "document was" if count == 1 else "documents were"
        work.note(
            f"{count} {noun} written or deleted since: the former {path.text} of "
            f"{collection} stays in {aside}"
        )
    if refused:
        noun, they = ("value", "it") if refused == 1 else ("values", "them")
        work.note(
            f"{refused} former {noun} of {path.text} of {collection} could not be "
            f"restored, because a unique index refuses {they}: another document now "
            f"has such a value. To restore {they} by hand, free the key, and set "
            f"{path.text} "
            f'to the "value" that {aside} keeps under the same _id, where "refused" is '
            "true"
        )
