"""Inserting documents; in a downgrade, putting back what the upgrade deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bson
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...backend import Failing
from ...ops import Delete, Insert
from ..batches.step_under_way import Work
from ..batches.undo import note_left_out, note_staying, part_of, undo_batches
from ..batches.written_values import Fate, digest_of, digests_of, fate_of
from ..expressions.id_list import IdList, value_of
from ..expressions.ranges import ids_in
from ..expressions.raw_bson import has_empty_timestamp, id_key
from ..forecast.counting import samples
from ..forecast.look import Look, Told, tell_trial
from ..forecast.names import ANY
from ..forecast.sample import SIZE, try_insert
from ..mongosh.literals import call, on
from ..mongosh.statements import Part, db_command, is_there, only_if
from ..server.best_effort import estimated_count
from ..server.transactions import supports_transactions
from ..server.views import EXACT, collection_info, ensure_collection
from .handler import (
    DOCUMENT_ACTIONS,
    Handler,
    name_spare,
    refuse_unwritable,
    remove_created,
)
from .shared.put_back_documents import (
    deleted_by_upgrade,
    put_documents_back,
    take_documents_again,
    taken_ids,
    without_those_back,
)


class InsertHandler(Handler[Insert]):
    """Inserts documents, and remembers which, so that an undo deletes just those.

    In a downgrade, what the upgrade deleted from the collection is put back first.
    """

    creates = fills = True
    puts_back = Delete
    leaves_out = True
    batch_size = 1000

    def before(self, operation: Insert, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        work.native(list(operation.documents))
        found: dict[str, Any] = {
            # Chosen once: a repeated batch has the same ids.
            "ids": _choose_ids(operation, work),
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
        note_left_out(work, operation.collection)

        def insert_next(session: ClientSession) -> int:
            done = work.record.documents
            batch = slice(done, done + self.batch_size)
            ids, documents = work.before["ids"][batch], operation.documents[batch]
            given = [
                _document({"_id": _id, **work.native(document)})
                for _id, document in zip(ids, documents, strict=True)
            ]
            new = _but_those_staying(work, given, session)
            new = without_those_back(work, operation.collection, new, session)
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
        """Insert a batch, or the rest of it after a crash between two writes."""
        new = documents
        if not work.bench.transactions:
            new = self._announce(work, collection, documents, session)
        if new:
            work.db[collection].insert_many(
                new,
                bypass_document_validation=work.bypasses(collection) or None,
                session=session,
            )

        def wrote(ids: IdList) -> list[bytes]:  # the server fills in empty timestamps
            return digests_of(work, collection, ids, session)

        if work.bench.transactions:
            ids = IdList.of(documents)
            details = [{"is": digest} for digest in wrote(ids)]
            work.bench.touched.add(work.record, ids, session, details=details)
        else:
            work.bench.touched.describe(work.record, wrote)

    @staticmethod
    def _announce(
        work: Work,
        collection: str,
        documents: Sequence[RawBSONDocument],
        session: ClientSession,
    ) -> list[RawBSONDocument]:
        """Without transactions, remember what will be inserted; return that.

        Leaves out what is there from a run that was killed. What was there before that
        run is not remembered: the undo must not delete it.
        """
        begun = set(work.bench.touched.begun(work.record).keys)
        there = taken_ids(work, collection, documents, session)
        ours = [doc for doc in documents if id_key(doc) not in there - begun]
        details = [
            {} if has_empty_timestamp(bytes(doc.raw)) else {"is": digest_of(doc)}
            for doc in ours
        ]
        work.bench.touched.add(work.record, IdList.of(ours), session, details=details)
        return [doc for doc in documents if id_key(doc) not in there & begun]

    def undo(self, operation: Insert, work: Work) -> None:
        name = operation.collection

        def delete(entry: Mapping[str, Any], session: ClientSession) -> IdList:
            ids: IdList = entry["ids"]
            now = digests_of(work, name, ids, session)
            there = list(zip(ids.keys, entry["details"], now, strict=True))
            same = {
                key
                for key, detail, after in there
                if after and fate_of(detail, after) is Fate.WRITTEN
            }
            take_documents_again(work, name, part_of(entry, same.__contains__), session)
            work.db[name].delete_many(ids_in(ids.only(same)), session=session)
            return ids.only(key for key, _, after in there if after).without(same)

        undo_batches(work, delete)
        # In a collection that is moved aside as a whole, none stays.
        if not remove_created(work, name):
            note_staying(work, name, leaves_out=True)

    def forecast(self, look: Look[Insert]) -> Told:
        told = Told()
        done = look.record.documents if look.record is not None else 0
        documents: list[Any] = [
            {"_id": ObjectId(), **look.work.native(document)}
            for document in look.operation.documents[done:]
        ]
        kept = _tell_kept(look, told)
        told.writes = len(documents) if documents or not kept else None
        if not documents or not look.is_there:
            return told
        ids = [document["_id"] for document in documents]
        taken = look.count(ids_in(ids))
        if taken.number:
            shown = samples(look.db, look.collection, ids_in(ids))
            noun = "document has" if taken.number == 1 else "documents have"
            told.failing.append(Failing("insert", taken.number, shown))
            told.problems.append(
                f"{taken.number} {noun} an _id that already exists in "
                f"{look.said.collection}: {', '.join(shown)}"
            )
        elif supports_transactions(look.db):
            trial = try_insert(
                look.work, look.collection, documents[:SIZE], coming=look.coming
            )
            tell_trial(look, trial, told)
        return told

    def reads(self, operation: Insert) -> frozenset[str]:
        return ANY

    def writes(self, operation: Insert) -> frozenset[str]:
        return ANY

    def actions(self, operation: Insert) -> tuple[str, ...]:
        return DOCUMENT_ACTIONS

    def why_not_standalone(self, operation: Insert) -> str | None:
        return None

    def statements(self, operation: Insert, part: Part) -> list[str]:
        name = operation.collection
        documents = [part.work.native(document) for document in operation.documents]
        if not documents:
            return [only_if(f"!{is_there(name)}", db_command({"create": name}))]
        return [call(on(name), "insertMany", documents)]


def _choose_ids(operation: Insert, work: Work) -> list[Any]:
    """Return an `_id` for each document, for those that have none.

    A document left by an earlier run because it was changed since keeps its own.
    """
    staying = list(work.bench.staying.left(work.record)) if work.record.again else []
    ids: list[Any] = []
    for document in operation.documents:
        native = work.native(document)
        chosen = ObjectId()
        for each in staying if "_id" not in native else ():
            _id, wrote = value_of(each[0]), each[1]
            if digest_of(_document({"_id": _id, **native})) == wrote:
                staying.remove(each)
                chosen = _id
                break
        ids.append(chosen)
    return ids


def _but_those_staying(
    work: Work, given: Sequence[RawBSONDocument], session: ClientSession
) -> list[RawBSONDocument]:
    """Return the documents without those that an earlier run left."""
    if not work.record.again:
        return list(given)
    staying = work.bench.staying.known(work.record, IdList.of(given), session)
    return [document for document in given if id_key(document) not in staying]


def _document(document: Mapping[str, Any]) -> RawBSONDocument:
    return RawBSONDocument(bson.encode(document, codec_options=EXACT), EXACT)


def _tell_kept(look: Look[Insert], told: Told) -> int:
    """Count what a downgrade puts back of what its upgrade deleted."""
    kept = sum(
        estimated_count(look.db[aside]) for aside in look.before.get("sources", ())
    )
    if kept:
        noun = "document" if kept == 1 else "documents"
        told.notes.append(f"restores up to {kept} {noun} that the upgrade kept")
    return kept
