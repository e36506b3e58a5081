"""Renaming a field where it stands, and copying one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ..errors import OperationError
from ..ops import CopyField, RenameField
from .apply_fields import (
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
    take_out_of,
    values_of_upgrade,
)
from .batches import touch, undo_batches, walk_each_once, walk_until_none_left
from .conform import refuse_if_any
from .handler import Handler, refuse_unwritable
from .id_list import IdList
from .paths import FieldPath, Stages
from .ranges import Query, both, ids_in
from .raw import id_key, literal_of
from .repeated import refuse_repeated
from .target import Target
from .walk import Batch, Reads, Walk
from .work import Work


class RenameFieldHandler(Handler[RenameField]):
    """Within one parent the field keeps its place; else it moves to the new parent."""

    def before(self, operation: RenameField, work: Work) -> Mapping[str, Any]:
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        refuse_unwritable(work, operation.collection)
        refuse_overlap(old, new)
        refuse_arrays(work, operation.collection, old, new)
        refuse_repeated(work, operation.collection, [old.text, new.text])
        if not operation.overwrite:
            refuse_both(work, operation.collection, old, new)
        refuse_if_any(
            work,
            operation.collection,
            {"$expr": {"$and": [old.present, new.unfit]}},
            problem=f"have no document that {new.text} could stand in",
        )
        sources = values_of_upgrade(work, operation, RenameField.verb)
        found: dict[str, Any] = {"sources": sources}
        if operation.overwrite:
            found["aside"] = name_aside(work, operation.collection, new.text)
        return found

    def apply(self, operation: RenameField, work: Work) -> None:
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        aside = work.before.get("aside")
        if aside is not None:
            enter_values(work, aside, operation.collection, new)

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            if aside is not None:
                keep_values(work, aside, batch, session, overwritten_in(batch))
            details = _places_in(batch) if old.parent != new.parent else []
            touch(work, batch, session, details=details)
            target = Target(work, operation.collection, session)
            target.update(batch.query, move(old, new))
            return len(batch.ids)

        walk = Walk(
            operation.collection,
            with_room(old, new, overwrite=operation.overwrite),
            operation.batch_size,
            Reads.DOCUMENTS if aside or old.parent != new.parent else Reads.IDS,
            shape=shape_of(old, new),
            workers=operation.workers,
        )
        left = {"$expr": old.present}
        problem = f"still have {old.text}"
        walk_until_none_left(work, walk, write, left=left, problem=problem)
        note_arrays(work, operation.collection, old, new)
        put_all_back(work, operation, old, first_phase=1)

    def undo(self, operation: RenameField, work: Work) -> None:
        old, new = FieldPath(operation.field), FieldPath(operation.new_name)
        take_all_again(work, operation, old)

        def move_back(entry: Mapping[str, Any], session: ClientSession) -> int:
            return _move_back(work, operation.collection, old, new, entry, session)

        note_skipped(work, undo_batches(work, move_back), operation.collection)


class CopyFieldHandler(Handler[CopyField]):
    """What the copy overwrites goes aside."""

    def before(self, operation: CopyField, work: Work) -> Mapping[str, Any]:
        source, target = FieldPath(operation.field), FieldPath(operation.target)
        refuse_unwritable(work, operation.collection)
        refuse_overlap(source, target)
        refuse_arrays(work, operation.collection, source, target)
        refuse_barred(work, operation.collection, target)
        if operation.overwrite or target.parent is not None:
            refuse_repeated(work, operation.collection, [target.text])
        if not operation.overwrite:
            refuse_both(work, operation.collection, source, target)
            return {}
        return {"aside": name_aside(work, operation.collection, target.text)}

    def apply(self, operation: CopyField, work: Work) -> None:
        source, target = FieldPath(operation.field), FieldPath(operation.target)
        aside = work.before.get("aside")
        if aside is not None:
            enter_values(work, aside, operation.collection, target)

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            if aside is not None:
                keep_values(work, aside, batch, session, overwritten_in(batch))
            details = standing_in(batch)
            touch(work, batch, session, details=details)
            stages = target.set_to(source.value)
            Target(work, operation.collection, session).update(batch.query, stages)
            return len(batch.ids)

        walk = Walk(
            operation.collection,
            with_room(source, target, overwrite=operation.overwrite),
            operation.batch_size,
            Reads.DOCUMENTS,
            shape=shape_of(source, target),
            workers=operation.workers,
        )
        if operation.overwrite:
            walk_each_once(work, walk, write)
        else:
            walk_until_none_left(work, walk, write, problem=f"still lack {target.text}")
        note_arrays(work, operation.collection, source, target)
        note_unfit(work, operation.collection, target)

    def undo(self, operation: CopyField, work: Work) -> None:
        path = FieldPath(operation.target)

        def take_out(entry: Mapping[str, Any], session: ClientSession) -> int:
            kept = _kept(work, entry, session)
            Target(work, operation.collection, session).update_each(
                (doc, path.set_to(literal_of(doc, "value"))) for doc in kept.values()
            )
            _remove_kept(work, kept, session)
            fresh = _without(entry, kept)
            return take_out_of(work, operation.collection, path, fresh, session)

        undo_batches(work, take_out)


ID_ONLY: Mapping[str, Any] = {"_id": True}


def refuse_overlap(old: FieldPath, new: FieldPath) -> None:
    if old.overlaps(new):
        raise OperationError(
            f"{new.text} and {old.text} are one field, or one stands inside the other",
            hint="Write it with op.transform().",
        )


def refuse_both(work: Work, collection: str, old: FieldPath, new: FieldPath) -> None:
    """Refuse documents that have both fields, before anything is written."""
    refuse_if_any(
        work,
        collection,
        having_both(old, new),
        problem=f"have both {old.text} and {new.text}",
        field=new.text,
        hint="overwrite=True writes over the second, and keeps its value aside.",
    )


def having_both(old: FieldPath, new: FieldPath) -> Query:
    return {"$expr": {"$and": [old.present, new.present]}}


def overwritten_in(batch: Batch) -> list[RawBSONDocument]:
    """Return those documents of a batch whose target field has a value already."""
    return [document for document in batch.documents if "value" in document]


def note_skipped(work: Work, count: int, collection: str) -> None:
    if count:
        how = "was changed since, and stays so"
        noun = "document"
        if count > 1:
            noun, how = "documents", "were changed since, and stay so"
        work.note(f"{count} {noun} of {collection} {how}")


def shape_of(old: FieldPath, new: FieldPath) -> dict[str, Any]:
    """What is read of a document: where the two fields stand, what the second holds."""
    return {
        "_id": True,
        "value": new.value,
        "at": new.position,
        "standing": new.standing,
        "from": old.position,
    }


def _places_in(batch: Batch) -> list[list[int]]:
    return [[int(doc["from"]), int(doc["standing"])] for doc in batch.documents]


def move(old: FieldPath, new: FieldPath) -> Stages:
    if old.parent == new.parent:
        return old.rename_to(new.parts[-1])
    return [*new.set_to(old.value), {"$unset": [old.text]}]


def with_room(source: FieldPath, target: FieldPath, *, overwrite: bool) -> Query:
    """Return the filter for documents whose first field can go where the second is."""
    room: Any = target.absent
    if overwrite:
        room = {"$or": [room, target.present]}
    return {"$expr": {"$and": [source.present, room]}}


def _move_back(
    work: Work,
    collection: str,
    old: FieldPath,
    new: FieldPath,
    entry: Mapping[str, Any],
    session: ClientSession,
) -> int:
    """Undo the renaming of one batch; return how many documents changed since."""
    movable = {"$expr": {"$and": [new.present, old.absent]}}
    query = both(ids_in(entry["ids"]), movable)
    if not entry["details"] and "aside" not in work.before:
        stages = new.rename_to(old.parts[-1])
        done = Target(work, collection, session).update(query, stages)
        return len(entry["ids"]) - done
    found = work.db[collection].find(query, ID_ONLY, session=session)
    ready = {id_key(document): document for document in found}
    kept = _kept(work, entry, session)
    keys = entry["ids"].keys
    places = dict(zip(keys, entry["details"] or [None] * len(keys), strict=True))
    Target(work, collection, session).update_each(
        (document, _stages_back(old, new, places[key], kept.get(key)))
        for key, document in ready.items()
    )
    _remove_kept(work, {key: kept[key] for key in kept if key in ready}, session)
    return len(keys) - len(ready)


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


def _kept(
    work: Work, entry: Mapping[str, Any], session: ClientSession
) -> dict[bytes, RawBSONDocument]:
    """Return what the aside keeps of a batch's documents, by the key of their `_id`."""
    aside = work.before.get("aside")
    if aside is None:
        return {}
    found = work.db[aside].find(ids_in(entry["ids"]), session=session)
    return {id_key(document): document for document in found}


def _remove_kept(
    work: Work, kept: Mapping[bytes, RawBSONDocument], session: ClientSession
) -> None:
    if kept:
        ids = IdList.of(kept.values())
        work.db[work.before["aside"]].delete_many(ids_in(ids), session=session)


def _without(entry: Mapping[str, Any], kept: Mapping[bytes, Any]) -> dict[str, Any]:
    """Return an entry of touched documents without those that the aside keeps."""
    details = zip(entry["ids"].keys, entry["details"], strict=True)
    return {
        "ids": entry["ids"].without(kept),
        "details": [detail for key, detail in details if key not in kept],
    }
