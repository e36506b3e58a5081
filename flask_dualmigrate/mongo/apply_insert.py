"""Inserting documents; in a downgrade, putting back what the upgrade deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ..ops import Insert
from .batches import undo_batches
from .handler import Handler, name_spare, refuse_unwritable, remove_created
from .id_list import IdList
from .put_documents import (
    deleted_by_upgrade,
    put_documents_back,
    take_documents_again,
    taken_ids,
    without_those_back,
)
from .ranges import ids_in
from .raw import id_key
from .views import EXACT, collection_info, ensure_collection
from .work import Work


class InsertHandler(Handler[Insert]):
    """The ids that were given are remembered, and are what undoing deletes.

    In a downgrade, what the upgrade deleted from the collection comes back first.
    """

    batch_size = 1000

    def before(self, operation: Insert, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        work.native(list(operation.documents))
        # Chosen once: a batch that is done again has the same ids.
        ids = [ObjectId() for _ in operation.documents]
        found: dict[str, Any] = {
            "ids": ids,
            "sources": deleted_by_upgrade(work, operation),
        }
        if collection_info(work.db, operation.collection) is None:
            found["spare"] = name_spare(work, operation.collection)
        return found

    def apply(self, operation: Insert, work: Work) -> None:
        ensure_collection(work.db, operation.collection)
        put_documents_back(work, operation.collection)
        if work.record.total is None:
            work.save(total=len(operation.documents))

        def insert_next(session: ClientSession) -> int:
            done = work.record.documents
            batch = slice(done, done + self.batch_size)
            ids, documents = work.before["ids"][batch], operation.documents[batch]
            given = [
                _document({"_id": _id, **work.native(document)})
                for _id, document in zip(ids, documents, strict=True)
            ]
            new = without_those_back(work, operation.collection, given, session)
            if new:
                self._insert(work, operation.collection, new, session)
            if given:
                work.checkpoint(session, {}, documents=len(given))
            return len(given)

        while work.transact(insert_next):
            pass

    def _insert(
        self,
        work: Work,
        collection: str,
        documents: list[RawBSONDocument],
        session: ClientSession,
    ) -> None:
        """Insert a batch; the rest of it, where a crash came between two writes."""
        work.bench.touched.add(work.record, IdList.of(documents), session)
        if not work.bench.transactions:
            there = taken_ids(work, collection, documents, session)
            documents = [doc for doc in documents if id_key(doc) not in there]
        if documents:
            work.db[collection].insert_many(
                documents,
                bypass_document_validation=work.bypasses(collection) or None,
                session=session,
            )

    def undo(self, operation: Insert, work: Work) -> None:
        def delete(entry: Mapping[str, Any], session: ClientSession) -> int:
            if entry["details"]:
                return take_documents_again(work, operation.collection, entry, session)
            target = work.db[operation.collection]
            target.delete_many(ids_in(entry["ids"]), session=session)
            return 0

        undo_batches(work, delete)
        remove_created(work, operation.collection)


def _document(document: Mapping[str, Any]) -> RawBSONDocument:
    return RawBSONDocument(bson.encode(document, codec_options=EXACT), EXACT)
