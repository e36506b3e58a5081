"""Adding a field to documents, and dropping one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from ...backend import Loss
from ...ops import MISSING, NOW, AddField, CopyField, DropField
from ..asides.aside import Holds
from ..batches.batches import walk_each_once, walk_until_none_left
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
from ..forecast.look import Look, Told
from ..forecast.names import ANY, roots
from ..journal.step_record import StepRecord
from ..mongosh.literals import call, on
from ..mongosh.statements import Kept, Part, has, lacks, refuse_any, refuse_arrays_above
from ..server.views import EXACT, NATIVE
from .handler import refuse_unwritable
from .shared.kept_fields import (
    enter_values,
    keep_values,
    name_aside,
    note_arrays,
    note_unfit,
    put_all_back,
    refuse_arrays,
    refuse_barred,
    standing_in,
    take_all_again,
    values_of_upgrade,
    with_digests,
)
from .shared.losses import counted
from .shared.passes import Pass, PassHandler, tell_kept, unfit, updates
from .shared.put_back_values import LACKED, drop_lacking, keep_lacking, restore_values


class AddFieldHandler(PassHandler[AddField]):
    """Adds a field; a downgrade first puts back what the upgrade dropped."""

    puts_back = DropField

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

    def forecast(self, look: Look[AddField]) -> Told:
        """Forecast; without a default there are only values to put back."""
        if look.operation.writes or not look.is_there:
            return super().forecast(look)
        told = Told()
        tell_kept(look, told)
        if not told.notes and look.problem is None:
            told.notes.append("it has no default: no document is written")
        return told

    def passes(self, look: Look[AddField]) -> Pass:
        operation, path = look.operation, FieldPath(look.operation.field)
        stages = path.set_to(value_of(operation, look.work))
        return Pass({"$expr": path.absent}, updates(stages), unfit=unfit(path))

    def reads(self, operation: AddField) -> frozenset[str]:
        return roots(operation.field) if operation.using is MISSING else ANY

    def writes(self, operation: AddField) -> frozenset[str]:
        return roots(operation.field)

    def why_not_standalone(self, operation: AddField) -> str | None:
        return None

    def statements(self, operation: AddField, part: Part) -> list[str]:
        if not operation.writes:
            return ["// It has no default: no document is written."]
        name, path = operation.collection, FieldPath(operation.field)
        refused = refuse_arrays_above(name, path)
        if path.parent is not None:
            problem = f"has something else than a document above {path.text}"
            refused.append(refuse_any(name, {"$expr": path.barred}, problem))
        change: Any = path.set_to(value_of(operation, part.work))
        constant = operation.using is MISSING and operation.default is not NOW
        if constant and not isinstance(operation.default, Mapping | list | tuple):
            change = {"$set": {path.text: part.work.native(operation.default)}}
        return [*refused, call(on(name), "updateMany", lacks(path), change)]


def _fill(operation: AddField, work: Work, path: FieldPath, *, phase: int) -> None:
    """Give the field to the documents that lack it, and remember its value.

    Leaves out those that lacked it when the upgrade dropped it.
    """
    name, sources = operation.collection, tuple(work.before["sources"])

    def update(work: Work, batch: Batch, value: Any, session: ClientSession) -> None:
        Target(work, name, session).update(batch.query, path.set_to(value))

    def write(work: Work, batch: Batch, session: ClientSession) -> int:
        wrote, details = _constant_of(operation, work), _places(path, batch)
        if work.bench.transactions:
            touch(work, batch, session, details=details, wrote=wrote)
        else:  # each document has its own: a repeated batch may write another
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


class DropFieldHandler(PassHandler[DropField]):
    """Drops a field; its values and positions go aside in the same transaction."""

    puts_back = CopyField

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

    def passes(self, look: Look[DropField]) -> Pass:
        path = FieldPath(look.operation.field)
        return Pass({"$expr": path.present}, updates([{"$unset": [path.text]}]))

    def reads(self, operation: DropField) -> frozenset[str]:
        return roots(operation.field)

    def writes(self, operation: DropField) -> frozenset[str]:
        return roots(operation.field)

    def why_not_standalone(self, operation: DropField) -> str | None:
        return None

    def loss(self, operation: DropField, db: Database[Any]) -> Loss:
        present = {"$expr": FieldPath(operation.field).present}
        return counted(db, operation, operation.collection, present, "values")

    def statements(self, operation: DropField, part: Part) -> list[str]:
        name, path = operation.collection, FieldPath(operation.field)
        statements = refuse_arrays_above(name, path)
        if part.aside:
            entry = {"_id": "$_id", "value": path.value, "at": path.position}
            statements += part.keep(operation, has(path), entry)
            if not part.work.is_downgrade:
                mark = {"_id": "$_id", "at": -1, "put_back": LACKED}
                statements.append(
                    "// Which documents lack it: no downgrade gives it to them."
                )
                statements += part.keep(operation, lacks(path), mark)
            statements.append(part.enter(operation))
        change = {"$unset": {path.text: ""}}
        return [*statements, call(on(name), "updateMany", has(path), change)]

    def kept(self, operation: DropField) -> Kept | None:
        return Kept(operation.field, Holds.VALUES) if operation.keep else None


def value_of(operation: AddField, work: Work) -> Any:
    """Return the expression of the value that the field gets."""
    if operation.using is not MISSING:
        return work.native(operation.using)
    if operation.default is NOW:
        return "$$NOW"
    if operation.default is MISSING:
        return None
    return {"$literal": work.native(operation.default)}
