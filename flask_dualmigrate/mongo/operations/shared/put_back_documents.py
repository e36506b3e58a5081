"""Putting back documents that an upgrade deleted, and removing them again.

If an `_id` is in use again, that document is not overwritten: the former one stays in
the aside, and a note of the run says how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ....ops import Delete, Insert
from ...batches.raw_collection import Target
from ...batches.step_under_way import Work
from ...batches.written_values import digest_of
from ...expressions.id_list import IdList
from ...expressions.ranges import ids_in
from ...expressions.raw_bson import by_id, id_key
from .put_back_values import drain

_BATCH_SIZE = 1000
_ID_ONLY = {"_id": True}


def deleted_by_upgrade(work: Work, operation: Insert) -> list[str]:
    """Return the asides of documents that a downgrade's insert puts back."""
    return work.bench.asides.kept_by_upgrade(
        work.record, Delete.verb, of=operation.collection
    )


def put_documents_back(work: Work, collection: str) -> None:
    """Move the documents of the sources back, remembering them for an undo."""
    for source in work.before.get("sources", ()):
        _put_back(work, collection, source)


def take_documents_again(
    work: Work, collection: str, entry: Mapping[str, Any], session: ClientSession
) -> None:
    """Undo a batch of `put_documents_back`: copy the documents to their aside."""
    sources = {detail.get("source") for detail in entry["details"]} - {None}
    if sources:
        (source,) = sources  # a batch comes from one
        found = list(work.db[collection].find(ids_in(entry["ids"]), session=session))
        target = Target(work, source, session)
        if work.bench.transactions:
            target.insert(found)
        else:  # a part may be there, from an undo that was killed
            target.replace(found, upsert=True)


def without_those_back(
    work: Work,
    collection: str,
    given: Sequence[RawBSONDocument],
    session: ClientSession,
) -> list[RawBSONDocument]:
    """Return the documents to insert: if some came back, those not there yet.

    A script that names again what was deleted gets the former documents.
    """
    if not work.before.get("sources"):
        return list(given)
    there = taken_ids(work, collection, given, session)
    return [doc for doc in given if id_key(doc) not in there]


def taken_ids(
    work: Work,
    collection: str,
    documents: Sequence[RawBSONDocument],
    session: ClientSession,
) -> set[bytes]:
    """Return the keys of the `_id`s that documents of a collection have now.

    Compared by the collection's collation: in a lax one an `A` takes the place of an
    `a`.
    """
    target = work.db[collection]
    keys = set(map(id_key, documents))
    found = target.find(ids_in(IdList.of(documents)), _ID_ONLY, session=session)
    taken = set(map(id_key, found))
    if taken <= keys:
        return taken
    return {
        id_key(document)
        for document in documents
        if target.find_one(by_id(document), _ID_ONLY, session=session)
    }


def there_already(
    work: Work,
    collection: str,
    documents: Sequence[RawBSONDocument],
    session: ClientSession,
) -> list[RawBSONDocument]:
    """Return those that a collection contains, byte for byte; without transactions.

    Without them, a batch that was killed or refused may be partly written, or not at
    all.
    """
    if work.bench.transactions:
        return []
    found = work.db[collection].find(ids_in(IdList.of(documents)), session=session)
    there = {bytes(document.raw) for document in found}
    return [document for document in documents if bytes(document.raw) in there]


def _put_back(work: Work, collection: str, source: str) -> None:
    def insert(kept: Sequence[RawBSONDocument], session: ClientSession) -> None:
        taken = taken_ids(work, collection, kept, session)
        back = [doc for doc in kept if id_key(doc) not in taken]
        if back:
            ids = IdList.of(back)
            details = [{"is": digest_of(doc), "source": source} for doc in back]
            work.bench.touched.add(work.record, ids, session, details=details)
            Target(work, collection, session).insert(back)
        there = there_already(work, collection, kept, session)
        gone = ids_in(IdList.of([*back, *there]))
        work.db[source].delete_many(gone, session=session)

    drain(work, source, insert, batch_size=_BATCH_SIZE)
    left = work.db[source].count_documents({})
    if left:
        noun, ones = (
            ("document", "one stays") if left == 1 else ("documents", "ones stay")
        )
        work.note(
            f"{left} deleted {noun} of {collection}: the _id, or the key in a unique "
            f"index, is taken again, the former {ones} in {source}"
        )
