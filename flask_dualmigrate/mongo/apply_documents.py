"""Updating, transforming and deleting documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ..ops import Delete, Transform, Update
from .apply_fields import keep_values
from .apply_moves import note_skipped
from .aside import Holds
from .batches import touch, undo_batches, walk_each_once, walk_until_none_left
from .exclusion import excludes_itself
from .handler import Handler, refuse_unwritable
from .id_list import IdList
from .put_documents import taken_ids
from .putback import drain
from .ranges import ids_in
from .raw import id_key
from .repeated import refuse_repeated, set_by
from .steps import StepRecord
from .target import Target
from .transforming import transformed
from .views import collection_info
from .walk import Batch, Reads, Walk
from .work import Work

_STILL_MATCH = "still match the filter"
_NO_UNDO = "it declares neither undo= nor keep=True"


class UpdateHandler(Handler[Update]):
    """Each batch is one update_many, exactly once, whatever its operators."""

    def before(self, operation: Update, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        for value in (operation.filter, operation.update, operation.undo):
            work.native(value)
        if not isinstance(operation.update, Mapping):
            refuse_repeated(
                work,
                operation.collection,
                set_by(operation.update),
                query=work.native(operation.filter),
            )
        return name_images(work, operation)

    def apply(self, operation: Update, work: Work) -> None:
        enter_images(work, operation)
        update = work.native(operation.update)
        until_none_left = _excludes_itself(operation, work)
        remembers = operation.undoable or not until_none_left

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            keep_images(work, batch, batch.documents, session)
            target = Target(work, operation.collection, session)
            if remembers and not operation.keep:
                touch(work, batch, session)  # first, where no transaction joins them
            done = target.update(batch.query, update)
            if operation.keep:
                remember(work, operation, batch, batch.ids, session)
            return done

        reads = Reads.IDS if remembers else Reads.BOUNDS
        walk = _walk_of(work, operation, Reads.DOCUMENTS if operation.keep else reads)
        if until_none_left:
            walk_until_none_left(work, walk, write, problem=_STILL_MATCH)
        else:
            walk_each_once(work, walk, write)
        forget_if_final(work, operation)

    def why_not(self, operation: Update, record: StepRecord) -> str | None:
        return None if operation.undoable or not record.documents else _NO_UNDO

    def undo(self, operation: Update, work: Work) -> None:
        if operation.keep:
            put_images_back(work, operation)
            return
        inverse = work.native(operation.undo)

        def update_back(entry: Mapping[str, Any], session: ClientSession) -> int:
            target = Target(work, operation.collection, session)
            target.update(ids_in(entry["ids"]), inverse)
            return 0

        undo_batches(work, update_back)


class TransformHandler(Handler[Transform]):
    """A function of the script per document; what it changed is written in bulk."""

    def before(self, operation: Transform, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        work.native(operation.filter)
        return name_images(work, operation)

    def apply(self, operation: Transform, work: Work) -> None:
        enter_images(work, operation)

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            changed = transformed(work, operation, operation.fn, batch.documents)
            originals = [old for old, _ in changed]
            keep_images(work, batch, originals, session)
            target = Target(work, operation.collection, session)
            target.replace([new for _, new in changed])
            remember(work, operation, batch, IdList.of(originals), session)
            return len(changed)

        walk_each_once(work, _walk_of(work, operation, Reads.DOCUMENTS), write)
        forget_if_final(work, operation)

    def why_not(self, operation: Transform, record: StepRecord) -> str | None:
        return None if operation.undoable or not record.documents else _NO_UNDO

    def undo(self, operation: Transform, work: Work) -> None:
        inverse = operation.undo
        if operation.keep or inverse is None:
            put_images_back(work, operation)
            return

        def transform_back(entry: Mapping[str, Any], session: ClientSession) -> int:
            found = work.db[operation.collection].find(
                ids_in(entry["ids"]), session=session
            )
            changed = transformed(work, operation, inverse, list(found))
            target = Target(work, operation.collection, session)
            target.replace([new for _, new in changed])
            return 0

        undo_batches(work, transform_back)


class DeleteHandler(Handler[Delete]):
    """The documents go aside as they are, in the transaction that deletes them."""

    def before(self, operation: Delete, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        work.native(operation.filter)
        return name_images(work, operation)

    def apply(self, operation: Delete, work: Work) -> None:
        enter_images(work, operation)

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            keep_images(work, batch, batch.documents, session)
            target = work.db[operation.collection]
            return target.delete_many(batch.query, session=session).deleted_count

        reads = Reads.DOCUMENTS if operation.keep else Reads.BOUNDS
        walk = _walk_of(work, operation, reads)
        walk_until_none_left(work, walk, write, problem=_STILL_MATCH)

    def why_not(self, operation: Delete, record: StepRecord) -> str | None:
        if operation.keep or not record.documents:
            return None
        return "delete(…, keep=False) kept nothing to put back"

    def undo(self, operation: Delete, work: Work) -> None:
        if not operation.keep:
            return
        aside = work.before["aside"]

        def insert(kept: Sequence[RawBSONDocument], session: ClientSession) -> None:
            taken = taken_ids(work, operation.collection, kept, session)
            back = [doc for doc in kept if id_key(doc) not in taken]
            if back:
                Target(work, operation.collection, session).insert(back)
                work.db[aside].delete_many(ids_in(IdList.of(back)), session=session)

        drain(work, aside, insert, batch_size=operation.batch_size)
        left = work.db[aside].count_documents({})
        if left:
            work.note(
                f"{left} deleted documents of {operation.collection} are there again "
                f"with other contents: the former ones stay in {aside}"
            )


DocumentOperation = Update | Transform | Delete


def _walk_of(work: Work, operation: DocumentOperation, reads: Reads) -> Walk:
    return Walk(
        operation.collection,
        work.native(operation.filter),
        operation.batch_size,
        reads,
        workers=operation.workers,
    )


def _excludes_itself(operation: Update, work: Work) -> bool:
    info = collection_info(work.db, operation.collection)
    simple = info is None or "collation" not in info["options"]
    return simple and excludes_itself(operation.filter, operation.update)


def name_images(work: Work, operation: DocumentOperation) -> dict[str, Any]:
    """Choose the aside for the documents as they are before, where they are kept."""
    if not operation.keep:
        return {}
    label = f"{operation.collection}.documents"
    return {"aside": work.bench.asides.free_name(work.record.revision, label)}


def enter_images(work: Work, operation: DocumentOperation) -> None:
    if operation.keep:
        work.bench.asides.enter(
            work.before["aside"],
            work.record,
            Holds.DOCUMENTS,
            of=operation.collection,
        )


def keep_images(
    work: Work,
    batch: Batch,
    documents: Iterable[RawBSONDocument],
    session: ClientSession,
) -> None:
    aside = work.before.get("aside")
    if aside is not None:
        keep_values(work, aside, batch, session, list(documents))


def remember(
    work: Work,
    operation: Update | Transform,
    batch: Batch,
    ids: IdList,
    session: ClientSession,
) -> None:
    """Remember written documents; with keep=True, what they are after the writing."""
    details: list[bytes] = []
    if operation.keep:
        found = work.db[operation.collection].find(ids_in(ids), session=session)
        digests = {id_key(doc): _digest(doc) for doc in found}
        details = [digests[key] for key in ids.keys]
    touch(work, batch, session, ids=ids, details=details)


def forget_if_final(work: Work, operation: Update | Transform) -> None:
    """Forget which documents were written, where that can undo nothing."""
    if not operation.undoable:
        work.bench.touched.forget(work.record)


def put_images_back(work: Work, operation: Update | Transform) -> None:
    """Replace the documents by what they were, unless they were written since."""

    def replace(entry: Mapping[str, Any], session: ClientSession) -> int:
        query, aside = ids_in(entry["ids"]), work.db[work.before["aside"]]
        found = work.db[operation.collection].find(query, session=session)
        digests = {id_key(doc): _digest(doc) for doc in found}
        unchanged = {
            key
            for key, digest in zip(entry["ids"].keys, entry["details"], strict=True)
            if digests.get(key) == digest
        }
        kept = aside.find(query, session=session)
        images = [doc for doc in kept if id_key(doc) in unchanged]
        Target(work, operation.collection, session).replace(images)
        aside.delete_many(ids_in(IdList.of(images)), session=session)
        return len(entry["ids"]) - len(images)

    note_skipped(work, undo_batches(work, replace), operation.collection)


def _digest(document: RawBSONDocument) -> bytes:
    return hashlib.sha256(document.raw).digest()[:16]
