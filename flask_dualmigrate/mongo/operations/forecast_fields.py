"""Operations that pass over the documents of a collection, batch by batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from ...backend import Failing
from ...ops import (
    AddField,
    ConvertField,
    CopyField,
    Delete,
    DropField,
    Operation,
    RenameField,
    Transform,
    Update,
)
from ..expressions.paths import FieldPath
from ..expressions.ranges import Query, both, range_of
from ..forecast.counting import Count, count, how_found, samples
from ..forecast.look import Look, Told, tell_trial
from ..forecast.sample import NOT_TRIED, Write, try_batch
from ..server.transactions import supports_transactions
from .convert import converted, lost, queries
from .fields import value_of
from .moves import having_both, move, with_room
from .put_back_values import NOT_PUT_BACK


@dataclasses.dataclass(frozen=True)
class Pass:
    """Which documents an operation passes over, and how it writes them.

    write: None: not to be tried, as it calls the script or refuses nothing.
    refused: the kind, the filter and the field of those that it refuses.
    unfit: the filter of those that it leaves out, and what is said of them.
    """

    query: Query
    write: Write | None
    refused: tuple[str, Query, str] | None = None
    unfit: tuple[Query, str] | None = None


def tell_pass(look: Look[Any]) -> Told:
    """Count what a pass matches; try a batch of it; say what it would refuse."""
    told = Told()
    if not look.is_there:
        told.matches = Count(0)
        if not look.names.makes(look.said.collection):
            told.notes.append(f"collection {look.said.collection} does not exist")
        return told
    found = PASSES[type(look.operation)](look)
    query = _left(look, found.query)
    told.matches = look.count(query)
    told.writes = told.matches.number
    if told.matches.number:
        told.plan = how_found(look.db, look.collection, query)
    if look.problem is None:
        _try(look, found, query, told)
    elif found.refused is not None:
        told.failing += _refused(look, *found.refused)
    if found.unfit is not None:
        _tell_unfit(look, *found.unfit, told)
    if isinstance(look.operation, ConvertField) and look.problem is None:
        _tell_lost(look, told)
    _tell_kept(look, told)
    return told


def tell_add_field(look: Look[AddField]) -> Told:
    """Without a default there is nothing to pass over, only to put back."""
    if look.operation.writes or not look.is_there:
        return tell_pass(look)
    told = Told()
    _tell_kept(look, told)
    if not told.notes and look.problem is None:
        told.notes.append("it has no default: no document is written")
    return told


def _left(look: Look[Any], query: Query) -> Query:
    """Return the filter for what is left of an operation that was begun."""
    if look.record is None:
        return query
    place = look.record.checkpoint
    if "parts" in place:
        parts = look.work.bench.store.load_parts(look.record)
        left = [part.checkpoint for part in parts if "ended" not in part.checkpoint]
        return both({"$or": [range_of(each) for each in left or [place]]}, query)
    if place.get("phase", 0):
        return query
    return both(range_of(place), query)


def _try(look: Look[Any], found: Pass, query: Query, told: Told) -> None:
    assert told.matches is not None
    if found.write is None or not told.matches.number:
        return
    if not supports_transactions(look.db):
        told.notes.append(f"{NOT_TRIED}: this server has no transactions")
        return
    size = getattr(look.operation, "batch_size", None) or 1000
    trial = try_batch(
        look.work,
        look.collection,
        query,
        found.write,
        size=size,
        coming=look.coming,
    )
    if trial.is_duplicate and "ours" in look.before:
        told.notes.append(f"{trial.problem}: refused values are kept aside")
    else:
        tell_trial(look, trial, told)


def _refused(look: Look[Any], kind: str, query: Query, field: str) -> list[Failing]:
    number = look.count(query)
    if number.exact and not number.number:
        return []
    shown = samples(look.db, look.collection, query, field)
    return [Failing(kind, number.number if number.exact else None, shown)]


def _tell_unfit(look: Look[Any], query: Query, text: str, told: Told) -> None:
    number = look.count(query)
    if number.exact and number.number:
        noun = "document has" if number.number == 1 else "documents have"
        told.notes.append(f"{number.number} {noun} {text}")


def _tell_lost(look: Look[ConvertField], told: Told) -> None:
    """Count and show the values that do not convert where that is no failure.

    Not where an upgrade's originals come back first: they are not what is there now.
    """
    how = {
        "null": ("becomes null", "become null"),
        "keep": ("remains as it is", "remain as they are"),
    }.get(look.operation.on_error)
    if how is None or look.before.get("sources"):
        return
    query = _left(look, lost(look.operation, look.work))
    number = look.count(query)
    if not number.exact:
        told.notes.append(
            "the values that cannot be converted could not be counted in time"
        )
    elif number.number:
        field = look.operation.field
        shown = samples(look.db, look.collection, query, field)
        told.failing.append(Failing("conversion", number.number, shown, fatal=False))
        noun = f"value {how[0]}" if number.number == 1 else f"values {how[1]}"
        more = ", …" if number.number > len(shown) else ""
        told.notes.append(f"{number.number} {noun}: {', '.join(shown)}{more}")


def _tell_kept(look: Look[Any], told: Told) -> None:
    """Count what a downgrade puts back of what its upgrade kept."""
    asides: Sequence[str] = look.before.get("sources", ())
    kept = sum(count(look.db, aside, NOT_PUT_BACK).number for aside in asides)
    if kept:
        noun = "value" if kept == 1 else "values"
        told.notes.append(f"restores up to {kept} {noun} that the upgrade kept")


def _updates(stages: Any) -> Write:
    def write(
        target: Collection[RawBSONDocument], query: Query, session: ClientSession
    ) -> object:
        return target.update_many(query, stages, session=session)

    return write


def _add_field(look: Look[AddField]) -> Pass:
    operation, path = look.operation, FieldPath(look.operation.field)
    stages = path.set_to(value_of(operation, look.work))
    return Pass({"$expr": path.absent}, _updates(stages), unfit=_unfit(path))


def _unfit(path: FieldPath) -> tuple[Query, str] | None:
    if path.parent is None:
        return None
    text = f"a value that is not a document at {path.parent}: left without {path.text}"
    return {"$expr": path.unfit}, text


def _drop_field(look: Look[DropField]) -> Pass:
    path = FieldPath(look.operation.field)
    return Pass({"$expr": path.present}, _updates([{"$unset": [path.text]}]))


def _rename_field(look: Look[RenameField]) -> Pass:
    operation = look.operation
    old, new = FieldPath(operation.field), FieldPath(operation.new_name)
    there = having_both(old, new)
    goes_aside = f"a different {new.text} already: {old.text} is kept aside"
    return Pass(
        with_room(old, new, overwrite=operation.overwrite),
        _updates(move(old, new)),
        refused=None if look.work.is_downgrade else ("collision", there, new.text),
        unfit=(there, goes_aside) if "ours" in look.before else None,
    )


def _copy_field(look: Look[CopyField]) -> Pass:
    operation = look.operation
    source, target = FieldPath(operation.field), FieldPath(operation.target)
    there = having_both(source, target)
    keeps_it = (there, f"a different {target.text} already, which remains")
    leaves = look.work.is_downgrade and not operation.overwrite
    return Pass(
        with_room(source, target, overwrite=operation.overwrite),
        _updates(target.set_to(source.value)),
        refused=None if look.work.is_downgrade else ("collision", there, target.text),
        unfit=keeps_it if leaves else _unfit(target),
    )


def _convert_field(look: Look[ConvertField]) -> Pass:
    operation, path = look.operation, FieldPath(look.operation.field)
    to_convert, _ = queries(operation, look.work)
    result = converted(operation, look.work)
    return Pass(
        to_convert,
        _updates(path.set_to(result)),
        refused=("conversion", lost(operation, look.work), operation.field),
    )


def _update(look: Look[Update]) -> Pass:
    native = look.work.native
    write = _updates(native(look.operation.update))
    return Pass(native(look.operation.filter), write)


def _transform(look: Look[Transform]) -> Pass:
    return Pass(look.work.native(look.operation.filter), None)


def _delete(look: Look[Delete]) -> Pass:
    return Pass(look.work.native(look.operation.filter), None)


PASSES: dict[type[Operation], Callable[[Look[Any]], Pass]] = {
    AddField: _add_field,
    ConvertField: _convert_field,
    CopyField: _copy_field,
    Delete: _delete,
    DropField: _drop_field,
    RenameField: _rename_field,
    Transform: _transform,
    Update: _update,
}
