"""Shared by renaming and copying a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ....errors import OperationError
from ....ops import CopyField, RenameField
from ...batches.conform import refuse_if_any
from ...batches.step_under_way import Work
from ...batches.undo import note_staying
from ...batches.walk import Batch
from ...expressions.id_list import IdList
from ...expressions.paths import FieldPath, Stages
from ...expressions.ranges import Query, ids_in
from ...expressions.raw_bson import field_of, id_key
from ...mongosh.literals import call, on
from ...mongosh.statements import Part, has, lacks, refuse_any
from .put_back_values import note_leftovers


def note_undone(work: Work, collection: str, path: FieldPath) -> None:
    """Note what an undo left, and what is kept of the overwritten values."""
    note_staying(work, collection, leaves_out=True)
    if (aside := work.before.get("aside")) is not None:
        note_leftovers(work, aside, collection, path)


_BACK = "back"
"""Marks a kept value that is back in its document."""

ID_ONLY: Mapping[str, Any] = {"_id": True}


def refuse_overlap(old: FieldPath, new: FieldPath) -> None:
    if old.overlaps(new):
        raise OperationError(
            f"{new.text} and {old.text} are the same field, or one is inside the other",
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
        hint="overwrite=True overwrites the second, and keeps its value aside.",
        leaves_out=True,
    )


def having_both(old: FieldPath, new: FieldPath) -> Query:
    return {"$expr": {"$and": [old.present, new.present]}}


def overwritten_in(batch: Batch) -> list[RawBSONDocument]:
    """Return the documents of a batch whose target field already has a value."""
    return [document for document in batch.documents if "value" in document]


def shape_of(old: FieldPath, new: FieldPath) -> dict[str, Any]:
    """Return what to read: where the two fields are, and what the second holds."""
    return {
        "_id": True,
        "value": new.value,
        "at": new.position,
        "standing": new.standing,
        "ours": old.value,
        "from": old.position,
    }


def move(old: FieldPath, new: FieldPath) -> Stages:
    if old.parent == new.parent:
        return old.rename_to(new.parts[-1])
    return [*new.set_to(old.value), {"$unset": [old.text]}]


def with_room(source: FieldPath, target: FieldPath, *, overwrite: bool) -> Query:
    """Return the filter for documents whose first field can move to the second."""
    room: Any = target.absent
    if overwrite:
        room = {"$or": [room, target.present]}
    return {"$expr": {"$and": [source.present, room]}}


def kept_with(
    work: Work, entry: Mapping[str, Any], session: ClientSession
) -> dict[bytes, RawBSONDocument]:
    """Return what the aside keeps of a batch's documents, by `_id` key."""
    aside = work.before.get("aside")
    if aside is None:
        return {}
    found = work.db[aside].find(ids_in(entry["ids"]), session=session)
    return {id_key(document): document for document in found}


def remove_kept(
    work: Work, kept: Mapping[bytes, RawBSONDocument], session: ClientSession
) -> None:
    """Remove kept values that are back; without transactions, mark them at first.

    The batch may be undone again after a crash, and must then know them.
    """
    if not kept:
        return
    aside, those = work.db[work.before["aside"]], ids_in(IdList.of(kept.values()))
    if work.bench.transactions:
        aside.delete_many(those, session=session)
    else:
        aside.update_many(those, {"$set": {_BACK: True}}, session=session)


def forget_kept(work: Work) -> None:
    """Remove the values that `remove_kept` only marked."""
    if "aside" in work.before and not work.bench.transactions:
        work.db[work.before["aside"]].delete_many({_BACK: True})


def is_back(document: RawBSONDocument, kept: RawBSONDocument | None) -> bool:
    """Return whether a document has its former value again, from an undo before.

    document: with the value that is there now as `ours`.
    """
    if kept is None:
        return False
    now, former = field_of(document, "ours"), field_of(kept, "value")
    if now is None or former is None:
        return False
    return _BACK in kept or now.named("").bytes == former.named("").bytes


def moved(
    operation: RenameField | CopyField,
    old: FieldPath,
    new: FieldPath,
    change: Any,
    part: Part,
) -> list[str]:
    """Write a field's value to another, which may only have one if that is kept."""
    name, statements = operation.collection, []
    query = with_room(old, new, overwrite=operation.overwrite)
    if part.aside:
        over = {"$expr": {"$and": [old.present, new.present]}}
        entry = {**shape_of(old, new), "_id": "$_id"}
        statements = [*part.keep(operation, over, entry), part.enter(operation)]
    else:
        problem = f"has both {old.text} and {new.text}"
        statements.append(refuse_any(name, having_both(old, new), problem))
        if old.parent is None and new.parent is None:
            query = {**has(old), **lacks(new)}
    return [*statements, call(on(name), "updateMany", query, change)]
