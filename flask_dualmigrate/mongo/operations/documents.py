"""Updating and transforming documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from ...errors import OperationError
from ...ops import Transform, Update
from ..asides.aside import Holds
from ..batches.batches import walk_each_once, walk_until_none_left
from ..batches.inserted_meanwhile import seen_alone
from ..batches.raw_collection import Target
from ..batches.remember_writes import touch
from ..batches.repeated_fields import refuse_repeated, set_by
from ..batches.step_under_way import Work
from ..batches.transform import transformed
from ..batches.undo import note_left_out, note_staying, undo_batches
from ..batches.walk import Batch, Reads
from ..batches.written_values import Fate, digest_of, digests_of, fate_of
from ..expressions.exclusion import excludes_itself, shape_written
from ..expressions.id_list import IdList
from ..expressions.ranges import ids_in
from ..expressions.raw_bson import id_key
from ..forecast.look import Look
from ..forecast.names import ANY
from ..journal.left_alone import Why
from ..journal.step_record import StepRecord
from ..mongosh.literals import call, on
from ..mongosh.statements import Kept, Part
from .handler import refuse_unwritable
from .shared.images import (
    STILL_MATCH,
    enter_images,
    images_kept,
    keep_images,
    name_images,
    walk_of,
)
from .shared.passes import Pass, PassHandler, updates

_TWICE_LIKE_ONCE = frozenset(
    {
        *("$set", "$unset", "$min", "$max", "$addToSet"),
        *("$pull", "$pullAll", "$setOnInsert"),
    }
)
"""Operators that change nothing if repeated."""

_NO_UNDO = "it has neither undo= nor keep=True"


class UpdateHandler(PassHandler[Update]):
    """Updates documents: each batch is one update_many, done exactly once.

    An undo by `undo=` compares the fields that the two updates write, if these are
    known; otherwise, and with `keep=True`, it compares the whole document.
    """

    leaves_out = True

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
            if not (remembers and operation.undoable):
                if remembers and not batch.alone:
                    touch(work, batch, session)
                return target.update(batch.query, update)
            if not work.bench.transactions:
                with _described(work, operation, batch, session):
                    return target.update(batch.query, update)
            done = target.update(batch.query, update)
            remember(work, operation, batch, batch.ids, session)
            return done

        left_out = note_left_out(work, operation.collection)
        reads = Reads.IDS if remembers or left_out else Reads.BOUNDS
        reads = Reads.DOCUMENTS if operation.keep else reads
        walk = walk_of(work, operation, reads, leaves_out=left_out)
        if until_none_left:
            walk_until_none_left(work, walk, write, problem=STILL_MATCH)
        else:
            walk_each_once(work, walk, write)
        forget_if_final(work, operation)

    def why_not(self, operation: Update, record: StepRecord) -> str | None:
        return None if operation.undoable or record.wrote_nothing else _NO_UNDO

    def undo(self, operation: Update, work: Work) -> None:
        if operation.keep:
            put_images_back(work, operation)
            return
        inverse = work.native(operation.undo)

        def update_back(entry: Mapping[str, Any], session: ClientSession) -> IdList:
            same, stays = compared(work, operation, entry, session)
            if not work.bench.transactions:
                work.bench.touched.undo_begins(entry, same)
            Target(work, operation.collection, session).update(ids_in(same), inverse)
            return stays

        undo_batches(work, update_back)
        note_staying(work, operation.collection, leaves_out=True)

    def passes(self, look: Look[Update]) -> Pass:
        native = look.work.native
        write = updates(native(look.operation.update))
        return Pass(native(look.operation.filter), write)

    def reads(self, operation: Update) -> frozenset[str]:
        return ANY

    def writes(self, operation: Update) -> frozenset[str]:
        return ANY

    def why_not_standalone(self, operation: Update) -> str | None:
        if operation.keep:
            return "keep=True would keep values that are already changed"
        if operation.undo is not None and not _is_idempotent(operation.undo):
            return "its undo= does more if it runs twice"
        if excludes_itself(operation.filter, operation.update):
            return None
        if not _is_idempotent(operation.update):
            return "it does more if it runs twice"
        return None

    def statements(self, operation: Update, part: Part) -> list[str]:
        query, change = map(part.work.native, (operation.filter, operation.update))
        write = call(on(operation.collection), "updateMany", query, change)
        return [*images_kept(operation, query, part), write]

    def kept(self, operation: Update) -> Kept | None:
        return Kept("documents", Holds.DOCUMENTS) if operation.keep else None


class TransformHandler(PassHandler[Transform]):
    """Calls a function of the script per document; writes the changes in bulk."""

    leaves_out = True

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

        left_out = note_left_out(work, operation.collection)
        walk = walk_of(work, operation, Reads.DOCUMENTS, leaves_out=left_out)
        walk_each_once(work, walk, write)
        forget_if_final(work, operation)

    def why_not(self, operation: Transform, record: StepRecord) -> str | None:
        return None if operation.undoable or record.wrote_nothing else _NO_UNDO

    def undo(self, operation: Transform, work: Work) -> None:
        inverse = operation.undo
        if operation.keep:
            put_images_back(work, operation)
            return
        if inverse is None:
            return  # it wrote nothing: see why_not

        def transform_back(entry: Mapping[str, Any], session: ClientSession) -> IdList:
            same, stays = compared(work, operation, entry, session)
            found = work.db[operation.collection].find(ids_in(same), session=session)
            changed = transformed(work, operation, inverse, list(found))
            target = Target(work, operation.collection, session)
            target.replace([new for _, new in changed])
            return stays

        undo_batches(work, transform_back)
        note_staying(work, operation.collection, leaves_out=True)

    def passes(self, look: Look[Transform]) -> Pass:
        return Pass(look.work.native(look.operation.filter), None)

    def reads(self, operation: Transform) -> frozenset[str]:
        return ANY

    def writes(self, operation: Transform) -> frozenset[str]:
        return ANY

    def why_not_standalone(self, operation: Transform) -> str | None:
        return "a function must not get a document twice"

    def statements(self, operation: Transform, part: Part) -> list[str]:
        raise OperationError("it calls a Python function for each document")

    def kept(self, operation: Transform) -> Kept | None:
        return Kept("documents", Holds.DOCUMENTS) if operation.keep else None


def _excludes_itself(operation: Update, work: Work) -> bool:
    info = work.bench.known.info(operation.collection)
    simple = info is None or "collation" not in info["options"]
    return simple and excludes_itself(operation.filter, operation.update)


def remember(
    work: Work,
    operation: Update | Transform,
    batch: Batch,
    ids: IdList,
    session: ClientSession,
) -> None:
    """Remember written documents, and their state after the write."""
    details: list[bytes] = []
    if operation.undoable:
        details = _digests(work, operation, ids, session, reach=batch.reach)
    elif batch.alone:
        return
    touch(work, batch, session, ids=ids, details=details)


@contextmanager
def _described(
    work: Work, operation: Update, batch: Batch, session: ClientSession
) -> Iterator[None]:
    """Remember documents' states before and after a write, without transactions.

    A batch that the server refuses may be partly written. After another error the
    server may still be working: the undo then relies on their state before.
    """
    before = _digests(work, operation, batch.ids, session, reach=batch.reach)
    touch(work, batch, session, details=[{"was": digest} for digest in before])

    def describe() -> None:
        work.bench.touched.describe(
            work.record, lambda ids: _digests(work, operation, ids, session)
        )

    try:
        yield
    except OperationFailure:
        with suppress(PyMongoError):
            describe()
        raise
    describe()


def _digests(
    work: Work,
    operation: Update | Transform,
    ids: IdList,
    session: ClientSession | None,
    *,
    reach: Mapping[str, Any] | None = None,
) -> list[bytes]:
    shape = None
    if isinstance(operation, Update) and not operation.keep:
        shape = shape_written(operation.update, operation.undo)
    name = operation.collection
    return digests_of(work, name, ids, session, shape=shape, reach=reach)


def compared(
    work: Work,
    operation: Update | Transform,
    entry: Mapping[str, Any],
    session: ClientSession,
) -> tuple[IdList, IdList]:
    """Return the `_id`s of touched documents that are as they were written, and those
    that were changed since. One that was deleted or never written is in neither.
    """
    ids: IdList = entry["ids"]
    now = _digests(work, operation, ids, session)
    details = entry["details"] or [{}] * len(ids)
    fates = {
        key: fate_of(detail, digest)
        for key, detail, digest in zip(ids.keys, details, now, strict=True)
        if digest
    }

    def those(fate: Fate) -> IdList:
        return ids.only(key for key, each in fates.items() if each is fate)

    return those(Fate.WRITTEN), those(Fate.CHANGED)


def forget_if_final(work: Work, operation: Update | Transform) -> None:
    """Forget which documents were written, if that is of no use to an undo."""
    if not operation.undoable and seen_alone(work.record) is None:
        work.bench.touched.forget(work.record)


def put_images_back(work: Work, operation: Update | Transform) -> None:
    """Restore the documents to what they were, unless they were written since."""

    def replace(entry: Mapping[str, Any], session: ClientSession) -> IdList:
        ids, aside = entry["ids"], work.db[work.before["aside"]]
        kept = aside.find(ids_in(ids), session=session)
        images = {id_key(document): document for document in kept}
        same, changed = compared(work, operation, entry, session)
        now = _digests(work, operation, changed, session)
        # The app may have changed a document to what the undo would make it.
        equal = {
            key
            for key, digest in zip(changed.keys, now, strict=True)
            if key in images and digest_of(images[key]) == digest
        }
        back = [images[key] for key in (*same.keys, *equal) if key in images]
        Target(work, operation.collection, session).replace(back)
        aside.delete_many(ids_in(IdList.of(back)), session=session)
        gone = ids.without([*same.keys, *changed.keys])
        work.bench.staying.add(work.record, gone, session, why=Why.DELETED)
        return changed.without(equal)

    undo_batches(work, replace)
    aside = work.before["aside"]
    note_staying(work, operation.collection, leaves_out=True, aside=aside)


def _is_idempotent(update: Any) -> bool:
    return isinstance(update, Mapping) and _TWICE_LIKE_ONCE.issuperset(update)
