"""Renaming a field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...ops import RenameField
from ..asides.aside import Holds
from ..batches.batches import walk_until_none_left
from ..batches.conform import refuse_if_any
from ..batches.raw_collection import Target
from ..batches.remember_writes import touch
from ..batches.repeated_fields import refuse_repeated
from ..batches.step_under_way import Work
from ..batches.undo import note_left_out, undo_batches
from ..batches.walk import Batch, Reads, Walk
from ..expressions.id_list import NONE, IdList
from ..expressions.paths import FieldPath, Stages
from ..expressions.ranges import both, ids_in
from ..expressions.raw_bson import id_key, literal_of
from ..forecast.look import Look
from ..forecast.names import roots
from ..mongosh.statements import Kept, Part, refuse_any, refuse_arrays_above
from .handler import refuse_unwritable
from .shared.displaced_values import (
    OURS_BACK,
    name_ours_back,
    note_ours,
    set_ours_aside,
)
from .shared.kept_fields import (
    enter_values,
    keep_values,
    name_aside,
    note_arrays,
    put_all_back,
    refuse_arrays,
    take_all_again,
    values_of_upgrade,
)
from .shared.moves import (
    ID_ONLY,
    forget_kept,
    having_both,
    is_back,
    kept_with,
    move,
    moved,
    note_undone,
    overwritten_in,
    refuse_both,
    refuse_overlap,
    remove_kept,
    shape_of,
    with_room,
)
from .shared.passes import Pass, PassHandler, updates
from .shared.put_back_values import restore_values


class RenameFieldHandler(PassHandler[RenameField]):
    """Renames a field, in place within one parent, else by moving it to the new one.

    An undo moves back the value that is there now, even one of the app's. On the way
    back, also in a downgrade, the app may have written the old field again: its value
    stays there, ours is moved aside.
    """

    puts_back = RenameField
    leaves_out = True

    def before(self, operation: RenameField, work: Work) -> Mapping[str, Any]:
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        refuse_unwritable(work, operation.collection)
        refuse_overlap(old, new)
        refuse_arrays(work, operation.collection, old, new)
        refuse_repeated(work, operation.collection, [old.text, new.text])
        if not operation.overwrite and not work.is_downgrade:
            refuse_both(work, operation.collection, old, new)
        refuse_if_any(
            work,
            operation.collection,
            {"$expr": {"$and": [old.present, new.unfit]}},
            problem=f"have no document that could contain {new.text}",
            leaves_out=True,
        )
        sources = values_of_upgrade(work, operation, RenameField.verb)
        found: dict[str, Any] = {"sources": sources}
        if operation.overwrite:
            found["aside"] = name_aside(work, operation.collection, new.text)
        elif work.is_downgrade:
            found["ours"] = name_aside(work, operation.collection, old.text)
        return found

    def apply(self, operation: RenameField, work: Work) -> None:
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        aside, ours = work.before.get("aside"), work.before.get("ours")
        if aside is not None:
            enter_values(work, aside, operation.collection, new)
        if ours is not None:
            enter_values(work, ours, operation.collection, old)

        def set_aside(work: Work, batch: Batch, session: ClientSession) -> None:
            set_ours_aside(work, ours, old, batch.documents, session)

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            if aside is not None:
                keep_values(work, aside, batch, session, overwritten_in(batch))
            if ours is not None:
                both_there = overwritten_in(batch)
                set_ours_aside(work, ours, old, both_there, session)
                if both_there:
                    batch = batch.without(set(map(id_key, both_there)))
            details = _places_in(batch) if old.parent != new.parent else []
            touch(work, batch, session, details=details)
            target = Target(work, operation.collection, session)
            target.update(batch.query, move(old, new))
            return len(batch.ids)

        reads_all = aside or ours or old.parent != new.parent
        walk = Walk(
            operation.collection,
            with_room(old, new, overwrite=operation.overwrite or ours is not None),
            operation.batch_size,
            Reads.DOCUMENTS if reads_all else Reads.IDS,
            shape=shape_of(old, new),
            workers=operation.workers,
            leaves_out=note_left_out(work, operation.collection),
            on_refused=None if ours is None else set_aside,
        )
        left = {"$expr": old.present}
        problem = f"still have {old.text}"
        walk_until_none_left(work, walk, write, left=left, problem=problem)
        note_arrays(work, operation.collection, old, new)
        note_ours(work, operation.collection, old, new)
        put_all_back(work, operation, old, first_phase=1)

    def undo(self, operation: RenameField, work: Work) -> None:
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        take_all_again(work, operation, old)
        name_ours_back(work, operation.collection, new)

        def move_back(entry: Mapping[str, Any], session: ClientSession) -> IdList:
            _move_back(work, operation.collection, old, new, entry, session)
            return NONE

        undo_batches(work, move_back)
        forget_kept(work)
        if (ours := work.before.get("ours")) is not None:
            restore_values(
                work,
                ours,
                collection=operation.collection,
                path=old,
                batch_size=operation.batch_size,
            )
        note_undone(work, operation.collection, new)
        note_ours(work, operation.collection, new, old, key=OURS_BACK)

    def tidy(self, operation: RenameField, work: Work) -> None:
        super().tidy(operation, work)
        for key in ("ours", OURS_BACK):
            if key in work.before:
                work.bench.asides.close(work.before[key])

    def passes(self, look: Look[RenameField]) -> Pass:
        operation = look.operation
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        there = having_both(old, new)
        goes_aside = f"a different {new.text} already: {old.text} is kept aside"
        return Pass(
            with_room(old, new, overwrite=operation.overwrite),
            updates(move(old, new)),
            refused=None if look.work.is_downgrade else ("collision", there, new.text),
            unfit=(there, goes_aside) if "ours" in look.before else None,
        )

    def reads(self, operation: RenameField) -> frozenset[str]:
        return roots(operation.field, operation.new_name)

    def writes(self, operation: RenameField) -> frozenset[str]:
        return roots(operation.field, operation.new_name)

    def why_not_standalone(self, operation: RenameField) -> str | None:
        return None

    def statements(self, operation: RenameField, part: Part) -> list[str]:
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        name, statements = (
            operation.collection,
            refuse_arrays_above(operation.collection, old, new),
        )
        if new.parent is not None:
            unfit = {"$expr": {"$and": [old.present, new.unfit]}}
            problem = f"has no document that {new.text} could stand in"
            statements.append(refuse_any(name, unfit, problem))
        return [*statements, *moved(operation, old, new, move(old, new), part)]

    def kept(self, operation: RenameField) -> Kept | None:
        return Kept(operation.new_name, Holds.VALUES) if operation.overwrite else None


def _places_in(batch: Batch) -> list[list[int]]:
    return [[int(doc["from"]), int(doc["standing"])] for doc in batch.documents]


def _move_back(
    work: Work,
    collection: str,
    old: FieldPath,
    new: FieldPath,
    entry: Mapping[str, Any],
    session: ClientSession,
) -> None:
    """Undo the renaming of one batch.

    If something is in the place of the old field, the value is moved aside.
    """
    ids, kept = ids_in(entry["ids"]), kept_with(work, entry, session)
    keys = entry["ids"].keys
    places = dict(zip(keys, entry["details"] or [None] * len(keys), strict=True))
    barred = {"$expr": {"$and": [new.present, {"$not": [old.absent]}]}}
    shape = {"_id": True, "ours": new.value, "from": new.position}
    there = list(work.db[collection].find(both(ids, barred), shape, session=session))
    if not work.bench.transactions:
        done = [each for each in there if is_back(each, kept.get(id_key(each)))]
        remove_kept(work, _those_of(kept, map(id_key, done)), session)
        there = [each for each in there if each not in done]
    set_ours_aside(work, work.before[OURS_BACK], new, there, session)
    target = Target(work, collection, session)
    target.update_each(
        (document, stages)
        for document in there
        if (stages := _stages_without(new, places, kept, id_key(document)))
    )
    remove_kept(work, _those_of(kept, map(id_key, there)), session)
    query = both(ids, {"$expr": {"$and": [new.present, old.absent]}})
    if not entry["details"] and "aside" not in work.before:
        target.update(query, new.rename_to(old.parts[-1]))
        return
    found = work.db[collection].find(query, ID_ONLY, session=session)
    ready = {id_key(document): document for document in found}
    target.update_each(
        (document, _stages_back(old, new, places[key], kept.get(key)))
        for key, document in ready.items()
    )
    remove_kept(work, _those_of(kept, ready), session)


def _those_of(
    kept: Mapping[bytes, RawBSONDocument], keys: Iterable[bytes]
) -> dict[bytes, RawBSONDocument]:
    return {key: kept[key] for key in keys if key in kept}


def _stages_without(
    new: FieldPath,
    places: Mapping[bytes, list[int] | None],
    kept: Mapping[bytes, RawBSONDocument],
    key: bytes,
) -> Stages:
    """Return the pipeline that restores a document whose value was moved aside.

    Empty if there is nothing more to do.
    """
    place, former = places[key], kept.get(key)
    if former is not None:
        return new.put(literal_of(former, "value"), int(former["at"]))
    return [] if place is None else new.take_out(place[1])


def _stages_back(
    old: FieldPath,
    new: FieldPath,
    place: list[int] | None,
    kept: RawBSONDocument | None,
) -> Stages:
    """Return the pipeline that undoes the renaming of one document.

    place: the old field's position and the new one's `standing`; None if both have one
    parent.
    """
    if place is None:
        stages = new.rename_to(old.parts[-1])
        if kept is not None:
            stages += new.put(literal_of(kept, "value"), int(kept["at"]))
        return stages
    position, standing = place
    stages = old.put(new.value, position)
    if kept is not None:
        return stages + new.set_to(literal_of(kept, "value"))
    return stages + new.take_out(standing)
