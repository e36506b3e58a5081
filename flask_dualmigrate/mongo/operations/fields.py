"""Adding a field to documents, and dropping one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...ops import MISSING, NOW, AddField, CopyField, DropField
from ..asides.aside import Holds
from ..batches.batches import walk_each_once, walk_until_none_left
from ..batches.conform import refuse_if_any
from ..batches.raw_collection import Target
from ..batches.remember_writes import touch
from ..batches.repeated_fields import refuse_repeated
from ..batches.step_under_way import Work
from ..batches.undo import note_staying, undo_batches
from ..batches.walk import Batch, Reads, Walk
from ..batches.written_values import (
    digest_of,
    digest_with,
    digests_of,
    take_out_of,
    value_shape,
)
from ..expressions.paths import Expr, FieldPath
from ..expressions.ranges import both, ids_in, range_of
from ..expressions.raw_bson import field_of, id_key, literal_of
from ..expressions.volatile import is_volatile
from ..journal.steps import StepRecord
from ..server.views import EXACT, NATIVE
from .handler import Handler, refuse_unwritable
from .put_back_values import (
    drop_lacking,
    keep_lacking,
    put_values_back,
    restore_values,
    take_values_again,
)


class AddFieldHandler(Handler[AddField]):
    """In a downgrade, what the upgrade dropped is put back before the default is."""

    def before(self, operation: AddField, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        value_of(operation, work)
        if operation.writes:
            path = FieldPath(operation.field)
            refuse_arrays(work, operation.collection, path)
            refuse_barred(work, operation.collection, path)
            if path.parent is not None:
                refuse_repeated(work, operation.collection, [operation.field])
        return {"sources": values_of_upgrade(work, operation, DropField.verb)}

    def apply(self, operation: AddField, work: Work) -> None:
        path = FieldPath(operation.field)
        put_all_back(work, operation, path, first_phase=0)
        if operation.writes:
            _fill(operation, work, path, phase=len(work.before["sources"]))
            note_arrays(work, operation.collection, path)
            note_unfit(work, operation.collection, path)

    def undo(self, operation: AddField, work: Work) -> None:
        path, name = FieldPath(operation.field), operation.collection
        undo_batches(work, lambda *touched: take_out_of(work, name, path, *touched))
        take_all_again(work, operation, path)
        note_staying(work, name)


def _fill(operation: AddField, work: Work, path: FieldPath, *, phase: int) -> None:
    """Give the documents that lack the field its value, and remember which it was.

    Not those that lacked it when the upgrade dropped it.
    """
    name, sources = operation.collection, tuple(work.before["sources"])

    def update(work: Work, batch: Batch, value: Any, session: ClientSession) -> None:
        Target(work, name, session).update(batch.query, path.set_to(value))

    def write(work: Work, batch: Batch, session: ClientSession) -> int:
        wrote, details = _constant_of(operation, work), _places(path, batch)
        if work.bench.transactions:
            touch(work, batch, session, details=details, wrote=wrote)
        else:  # each document has its own, as a batch done again may write another
            found = RawBSONDocument(bson.encode({"value": wrote}, codec_options=EXACT))
            value = field_of(found, "value")
            assert value is not None  # as it was just encoded
            digests = [digest_with(_id, value) for _id in batch.ids.elements]
            touch(work, batch, session, details=with_digests(digests, details))
        update(work, batch, {"$literal": wrote}, session)
        return len(batch.ids)

    def compute(work: Work, batch: Batch, session: ClientSession) -> int:
        value = value_of(operation, work)
        if not work.bench.transactions:
            return compute_first(work, batch, value, session)
        update(work, batch, value, session)
        shape = value_shape(path.value)
        digests = digests_of(
            work, name, batch.ids, session, shape=shape, reach=batch.reach
        )
        details = with_digests(digests, _places(path, batch))
        touch(work, batch, session, details=details)
        return len(batch.ids)

    def compute_first(
        work: Work, batch: Batch, value: Expr, session: ClientSession
    ) -> int:
        query = both(ids_in(batch.ids), range_of(batch.reach))
        found = work.db[name].find(query, value_shape(value), session=session)
        values = {id_key(document): document for document in found}
        digests = [
            digest_of(values[key]) if key in values else b"" for key in batch.ids.keys
        ]
        details = with_digests(digests, _places(path, batch))
        touch(work, batch, session, details=details)
        if is_volatile(value):
            Target(work, name, session).update_each(
                (
                    (document, path.set_to(literal_of(document, "value")))
                    for document in values.values()
                    if "value" in document
                ),
                where={"$expr": path.absent},
            )
        else:
            update(work, batch, value, session)
        return len(batch.ids)

    walk = Walk(
        operation.collection,
        {"$expr": path.absent},
        operation.batch_size,
        Reads.DOCUMENTS if path.parent else Reads.IDS,
        shape={"_id": True, "standing": path.standing},
        phase=phase,
        exempt=sources,
        workers=operation.workers,
    )
    if operation.using is MISSING:
        walk_until_none_left(work, walk, write, problem=f"still lack {path.text}")
    else:
        walk_each_once(work, walk, compute)


def _places(path: FieldPath, batch: Batch) -> list[dict[str, Any]]:
    return [] if path.parent is None else standing_in(batch)


def _constant_of(operation: AddField, work: Work) -> Any:
    """Return the value that all documents of a batch get."""
    if operation.default is NOW:
        return work.db.command("hello", codec_options=NATIVE)["localTime"]
    return work.native(operation.default)


class DropFieldHandler(Handler[DropField]):
    """The values, and where they stood, go aside in the transaction of their batch."""

    def before(self, operation: DropField, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        refuse_arrays(work, operation.collection, FieldPath(operation.field))
        refuse_repeated(work, operation.collection, [operation.field])
        sources = values_of_upgrade(work, operation, CopyField.verb)
        found: dict[str, Any] = {"sources": sources}
        if operation.keep:
            found["aside"] = name_aside(work, operation.collection, operation.field)
        return found

    def apply(self, operation: DropField, work: Work) -> None:
        path, aside = FieldPath(operation.field), work.before.get("aside")
        if aside is not None:
            enter_values(work, aside, operation.collection, path)
            if not work.is_downgrade:
                keep_lacking(work, aside, operation, path)

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            if aside is not None:
                drop_lacking(work, aside, batch.ids, session)
                keep_values(work, aside, batch, session)
            target = Target(work, operation.collection, session)
            return target.update(batch.query, [{"$unset": [path.text]}])

        shape = {"_id": True, "value": path.value, "at": path.position}
        walk = Walk(
            operation.collection,
            {"$expr": path.present},
            operation.batch_size,
            Reads.BOUNDS if aside is None else Reads.DOCUMENTS,
            shape=shape,
            phase=1,
            workers=operation.workers,
        )
        walk_until_none_left(work, walk, write, problem=f"still have {path.text}")
        note_arrays(work, operation.collection, path)
        put_all_back(work, operation, path, first_phase=2)

    def why_not(self, operation: DropField, record: StepRecord) -> str | None:
        if operation.keep or record.wrote_nothing:
            return None
        return "drop_field(…, keep=False) kept nothing to restore"

    def undo(self, operation: DropField, work: Work) -> None:
        path = FieldPath(operation.field)
        take_all_again(work, operation, path)
        note_staying(work, operation.collection)
        if operation.keep:
            restore_values(
                work,
                work.before["aside"],
                collection=operation.collection,
                path=path,
                batch_size=operation.batch_size,
            )


FieldOperation = Any
"""An operation on a field, with `collection`, `field` and `batch_size`."""


def values_of_upgrade(work: Work, operation: FieldOperation, verb: str) -> list[str]:
    """Return the asides of values that a downgrade's operation gives back.

    verb: of the upgrade's operation that kept them.
    """
    return work.bench.asides.kept_by_upgrade(
        work.record, verb, of=operation.collection, field=operation.field
    )


def put_all_back(
    work: Work, operation: FieldOperation, path: FieldPath, *, first_phase: int
) -> None:
    """Put back what the upgrade kept, one aside a phase."""
    for phase, aside in enumerate(work.before["sources"], start=first_phase):
        put_values_back(
            work,
            aside,
            collection=operation.collection,
            path=path,
            phase=phase,
            batch_size=operation.batch_size,
        )


def take_all_again(work: Work, operation: FieldOperation, path: FieldPath) -> None:
    """Undo `put_all_back`."""
    for aside in reversed(work.before["sources"]):
        take_values_again(
            work,
            aside,
            collection=operation.collection,
            path=path,
            batch_size=operation.batch_size,
        )


def name_aside(work: Work, collection: str, field: str) -> str:
    return work.bench.asides.free_name(work.record.revision, f"{collection}.{field}")


def enter_values(work: Work, aside: str, collection: str, path: FieldPath) -> None:
    work.bench.asides.enter(
        aside, work.record, Holds.VALUES, of=collection, field=path.text
    )


def keep_values(
    work: Work,
    aside: str,
    batch: Batch,
    session: ClientSession,
    documents: Sequence[RawBSONDocument] | None = None,
) -> None:
    """Write a batch's values to an aside; a later round writes over an earlier one."""
    kept = list(batch.documents if documents is None else documents)
    if not kept:
        return
    target = Target(work, aside, session)
    if batch.round == 0 and work.bench.transactions:
        target.insert(kept)
    else:
        target.replace(kept, upsert=True)


def standing_in(batch: Batch) -> list[dict[str, Any]]:
    return [{"at": int(document["standing"])} for document in batch.documents]


def with_digests(
    digests: Sequence[bytes], details: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return details, with the digest of what each document got. details: or none."""
    places = details or [{}] * len(digests)
    return [
        {**place, "is": digest} for place, digest in zip(places, digests, strict=True)
    ]


ARRAY_HINT = (
    "Write it with op.transform(collection, fn, keep=True), a Python function called "
    "for each document."
)


def refuse_arrays(work: Work, collection: str, *paths: FieldPath) -> None:
    """Refuse documents where a path goes through an array, before anything is written.

    There it holds nowhere: the operation would pass, and leave every element as it is.
    """
    for above, (is_array, path) in _arrays_above(paths).items():
        refuse_if_any(
            work,
            collection,
            {"$expr": is_array},
            problem=f"have an array at {above}, above {path.text}",
            field=above,
            hint=ARRAY_HINT,
        )


def note_arrays(work: Work, collection: str, *paths: FieldPath) -> None:
    """Note how many documents got an array above a field while others were written."""
    for above, (is_array, path) in _arrays_above(paths).items():
        count = work.db[collection].count_documents({"$expr": is_array})
        if count:
            work.note(
                f"Documents of {collection} that were written meanwhile with "
                f"an array at {above}, above {path.text}, and remain so: {count}"
            )


def _arrays_above(paths: Sequence[FieldPath]) -> dict[str, tuple[Expr, FieldPath]]:
    """Return each path above some, once: what is true where it is an array, below."""
    found: dict[str, tuple[Expr, FieldPath]] = {}
    for path in paths:
        for above, is_array in path.arrays:
            found.setdefault(above, (is_array, path))
    return found


def refuse_barred(work: Work, collection: str, path: FieldPath) -> None:
    """Refuse documents that cannot have an embedded field, before anything is written.

    Those with null above it are left as they are; see `note_unfit`.
    """
    if path.parent is None:
        return
    refuse_if_any(
        work,
        collection,
        {"$expr": path.barred},
        problem=f"have a value that is not a document above {path.text}",
        field=path.parent,
        hint="Fix them first, or write the others with op.update().",
    )


def note_unfit(work: Work, collection: str, path: FieldPath) -> None:
    """Note how many documents cannot have an embedded field."""
    if path.parent is None:
        return
    arrays = {"$or": [is_array for _, is_array in path.arrays]}
    unfit = {"$and": [path.unfit, {"$not": [arrays]}]}
    count = work.db[collection].count_documents({"$expr": unfit})
    if count:
        how = "has null above it and remains"
        noun = "document"
        if count > 1:
            noun, how = "documents", "have null above it and remain"
        work.note(f"{count} {noun} of {collection} {how} without {path.text}")


def value_of(operation: AddField, work: Work) -> Any:
    """Return the expression of the value that the field gets."""
    if operation.using is not MISSING:
        return work.native(operation.using)
    if operation.default is NOW:
        return "$$NOW"
    if operation.default is MISSING:
        return None
    return {"$literal": work.native(operation.default)}
