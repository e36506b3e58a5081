"""Converting a field to another BSON type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from ...backend import Failing, Loss
from ...errors import OperationError
from ...ops import MISSING, ConvertField
from ..asides.aside import Holds
from ..batches.batches import walk_once, walk_until_none_left
from ..batches.conform import refuse_if_any
from ..batches.raw_collection import Target
from ..batches.repeated_fields import refuse_repeated
from ..batches.step_under_way import Work
from ..batches.undo import note_staying
from ..batches.walk import Batch, Reads, Walk
from ..batches.written_values import values_in
from ..expressions.conversions import LOST, needs_conversion, outcome_of
from ..expressions.id_list import IdList
from ..expressions.paths import Expr, FieldPath
from ..expressions.ranges import Query, both, ids_in
from ..expressions.raw_bson import field_of, id_key, literal_of
from ..expressions.volatile import is_volatile
from ..forecast.counting import samples
from ..forecast.look import Look, Told
from ..forecast.names import ANY, roots
from ..journal.step_record import StepRecord
from ..mongosh.statements import Kept, Part
from .handler import refuse_unwritable
from .shared.kept_fields import keep_values, name_aside, note_arrays, refuse_arrays
from .shared.losses import counted
from .shared.passes import Pass, PassHandler, left_of, updates
from .shared.put_back_values import (
    NOT_PUT_BACK,
    PUT_BACK,
    drain,
    mark,
    mark_refused,
    mark_written,
    note_leftovers,
    unmark,
    unmark_refused,
)

_HINT = 'Fix them first, or pass on_error="null", on_error="keep" or using=….'


class ConvertFieldHandler(PassHandler[ConvertField]):
    """Converts a field; a downgrade puts the originals back if still as converted."""

    def before(self, operation: ConvertField, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        refuse_arrays(work, operation.collection, FieldPath(operation.field))
        refuse_repeated(work, operation.collection, [operation.field])
        sources = work.bench.asides.kept_by_upgrade(
            work.record,
            ConvertField.verb,
            of=operation.collection,
            field=operation.field,
        )
        if not sources:  # what is put back first need not survive
            _refuse_lost(operation, work)
        found: dict[str, Any] = {"sources": sources, **_left_alone(work, sources)}
        if operation.keep:
            found["aside"] = name_aside(work, operation.collection, operation.field)
        return found

    def apply(self, operation: ConvertField, work: Work) -> None:
        sources = work.before["sources"]
        for phase, aside in enumerate(sources):
            _put_originals_back(operation, work, aside, phase)
        if sources and work.record.checkpoint == {"phase": len(sources)}:
            _refuse_lost(operation, work)
        _convert_rest(operation, work, phase=len(sources))

    def why_not(self, operation: ConvertField, record: StepRecord) -> str | None:
        if operation.keep or record.wrote_nothing:
            return None
        return "convert_field(…, keep=False) kept nothing to restore"

    def undo(self, operation: ConvertField, work: Work) -> None:
        aside = work.before.get("aside")
        if aside is not None:
            _restore(operation, work, aside)
        for source in reversed(work.before["sources"]):
            _take_originals_again(operation, work, source)
        note_staying(work, operation.collection)

    def passes(self, look: Look[ConvertField]) -> Pass:
        operation, path = look.operation, FieldPath(look.operation.field)
        to_convert, _ = queries(operation, look.work)
        result = converted(operation, look.work)
        return Pass(
            to_convert,
            updates(path.set_to(result)),
            refused=("conversion", lost(operation, look.work), operation.field),
        )

    def tell_more(self, look: Look[ConvertField], told: Told) -> None:
        """Count and show the values that do not convert, if that is not a failure.

        Not if an upgrade's originals come back first: those are not there now.
        """
        how = {
            "null": ("becomes null", "become null"),
            "keep": ("remains as it is", "remain as they are"),
        }.get(look.operation.on_error)
        if how is None or look.before.get("sources"):
            return
        query = left_of(look, lost(look.operation, look.work))
        number = look.count(query)
        if not number.exact:
            told.notes.append(
                "the values that cannot be converted could not be counted in time"
            )
        elif number.number:
            field = look.operation.field
            shown = samples(look.db, look.collection, query, field)
            told.failing.append(
                Failing("conversion", number.number, shown, fatal=False)
            )
            noun = f"value {how[0]}" if number.number == 1 else f"values {how[1]}"
            more = ", …" if number.number > len(shown) else ""
            told.notes.append(f"{number.number} {noun}: {', '.join(shown)}{more}")

    def reads(self, operation: ConvertField) -> frozenset[str]:
        return roots(operation.field) if operation.using is MISSING else ANY

    def writes(self, operation: ConvertField) -> frozenset[str]:
        return roots(operation.field)

    def why_not_standalone(self, operation: ConvertField) -> str | None:
        return None

    def loss(self, operation: ConvertField, db: Database[Any]) -> Loss:
        others = {"$expr": needs_conversion(FieldPath(operation.field), operation.to)}
        return counted(db, operation, operation.collection, others, "values")

    def statements(self, operation: ConvertField, part: Part) -> list[str]:
        raise OperationError("it has to count first what a conversion would lose")

    def kept(self, operation: ConvertField) -> Kept | None:
        return Kept(operation.field, Holds.CONVERSIONS) if operation.keep else None


def _convert_rest(operation: ConvertField, work: Work, *, phase: int) -> None:
    path, aside = FieldPath(operation.field), work.before.get("aside")
    if aside is not None:
        work.bench.asides.enter(
            aside,
            work.record,
            Holds.CONVERSIONS,
            of=operation.collection,
            field=operation.field,
            to=operation.to,
            on_error=operation.on_error,
        )
    result = converted(operation, work)

    def write(work: Work, batch: Batch, session: ClientSession) -> int:
        target = Target(work, operation.collection, session)
        if aside is not None:
            keep_values(work, aside, batch, session)
            if is_volatile(result):  # as kept: it would come out differently
                target.update_each(
                    (doc, path.set_to(literal_of(doc, "became")))
                    for doc in batch.documents
                )
                return len(batch.ids)
        return target.update(batch.query, path.set_to(result))

    shape = {"_id": True, "value": path.value, "became": result}
    exempt = tuple(work.before["sources"])
    to_convert, to_be_gone = queries(operation, work)
    walk = Walk(
        operation.collection,
        to_convert,
        operation.batch_size,
        Reads.DOCUMENTS if aside is not None or exempt else Reads.BOUNDS,
        shape=shape,
        phase=phase,
        exempt=exempt,
        workers=operation.workers,
    )
    problem = f"still have a {path.text} that is not a {operation.to}"
    walk_until_none_left(work, walk, write, left=to_be_gone, problem=problem)
    note_arrays(work, operation.collection, path)


def queries(operation: ConvertField, work: Work) -> tuple[Query, Query]:
    """Return the filters for what to convert, and for what must not be left."""
    other_type = _where(operation, work)
    convertible = _where(operation, work, {"$ne": [_outcome(operation, work), LOST]})
    match operation.on_error:
        case "null":
            return other_type, other_type
        case "keep":
            return convertible, convertible
        case _:
            return convertible, other_type


def _refuse_lost(operation: ConvertField, work: Work) -> None:
    """With on_error="fail", refuse values that would not survive."""
    if operation.on_error != "fail":
        return
    refuse_if_any(
        work,
        operation.collection,
        lost(operation, work),
        problem=f"have a {operation.field} that cannot be converted to {operation.to} "
        "without loss",
        field=operation.field,
        hint=_HINT,
        exempt=tuple(work.before.get("sources", ())),
    )


def lost(operation: ConvertField, work: Work) -> Query:
    """Return the filter for the values that would not survive."""
    return _where(operation, work, {"$eq": [_outcome(operation, work), LOST]})


def converted(operation: ConvertField, work: Work) -> Expr:
    """Return the expression of the converted value; null for what would be lost."""
    return {"$ifNull": [{"$arrayElemAt": [_outcome(operation, work), 0]}, None]}


def _outcome(operation: ConvertField, work: Work) -> Expr:
    using = operation.using
    if using is not MISSING:
        using = work.native(using)
    return outcome_of(FieldPath(operation.field).value, operation.to, using=using)


def _where(operation: ConvertField, work: Work, condition: Expr = True) -> Query:
    """Return the filter for values of another type that meet a further condition."""
    path = FieldPath(operation.field)
    needs = needs_conversion(path, operation.to)
    if "only" in work.before:
        needs = {"$and": [needs, {"$in": [{"$type": path.value}, work.before["only"]]}]}
    return {"$expr": {"$and": [needs, condition]}}


def _left_alone(work: Work, sources: Sequence[str]) -> dict[str, Any]:
    """Return `only`: the types that a downgrade converts, if not all.

    If the upgrade had on_error="keep", values of types other than the one it produced
    are those that it left alone, and the downgrade leaves them too.
    """
    entries = [work.bench.asides.known(name) for name in sources]
    if not any(entry.get("on_error") == "keep" for entry in entries):
        return {}
    return {"only": [entry["to"] for entry in entries if "to" in entry]}


def _put_originals_back(
    operation: ConvertField, work: Work, aside: str, phase: int
) -> None:
    def write(work: Work, batch: Batch, session: ClientSession) -> int:
        ids = _exchange(operation, work, batch.documents, "became", "value", session)
        mark(work, aside, ids, 0, session)
        return len(ids)

    walk = Walk(
        aside,
        NOT_PUT_BACK,
        operation.batch_size,
        Reads.DOCUMENTS,
        phase=phase,
        on_refused=mark_refused,
    )
    walk_once(work, walk, write)
    note_leftovers(work, aside, operation.collection, FieldPath(operation.field))


def _take_originals_again(operation: ConvertField, work: Work, aside: str) -> None:
    """Undo `_put_originals_back`."""

    def take(documents: Sequence[RawBSONDocument], session: ClientSession) -> None:
        ids, path = IdList.of(documents), FieldPath(operation.field)
        there = values_in(work, operation.collection, path, ids, session)
        done = _exchange(operation, work, documents, "value", "became", session)
        stays = ids.only(there.keys() - set(done.keys))
        work.bench.staying.add(work.record, stays, session)
        unmark(work, aside, ids, session)

    path = FieldPath(operation.field)
    mark_written(work, aside, operation.collection, path, depth=0)
    drain(work, aside, take, query=PUT_BACK, batch_size=operation.batch_size)
    unmark_refused(work, aside)


def _restore(operation: ConvertField, work: Work, aside: str) -> None:
    """Undo the conversion: move the originals from the aside to where they were."""

    def restore(documents: Sequence[RawBSONDocument], session: ClientSession) -> None:
        ids = _exchange(operation, work, documents, "became", "value", session)
        work.db[aside].delete_many(ids_in(ids), session=session)

    drain(work, aside, restore, batch_size=operation.batch_size)
    note_leftovers(work, aside, operation.collection, FieldPath(operation.field))


def _exchange(
    operation: ConvertField,
    work: Work,
    kept: Sequence[RawBSONDocument],
    given: str,
    wanted: str,
    session: ClientSession,
) -> IdList:
    """Write one of two kept values if the other is still there.

    given, wanted: "value" and "became", or vice versa.
    Returns the ids of the documents that were written.
    """
    path, collection = FieldPath(operation.field), operation.collection
    query = both(ids_in(IdList.of(kept)), {"$expr": path.present})
    shape = {"_id": True, "now": path.value}
    found = work.db[collection].find(query, shape, session=session)
    now = {id_key(document): field_of(document, "now") for document in found}

    def having(name: str) -> list[RawBSONDocument]:
        return [
            document
            for document in kept
            if (there := now.get(id_key(document))) is not None
            and there.named(name) == field_of(document, name)
        ]

    ready = having(given)
    # A batch that was killed or refused may be partly written.
    written = [] if work.bench.transactions else having(wanted)
    Target(work, collection, session).update_each(
        (doc, path.set_to(literal_of(doc, wanted))) for doc in ready
    )
    return IdList.of([*ready, *written])
