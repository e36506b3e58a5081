"""Renaming a field where it stands, and copying one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...errors import OperationError
from ...ops import CopyField, RenameField
from ..batches.batches import walk_each_once, walk_until_none_left
from ..batches.conform import refuse_if_any
from ..batches.raw_collection import Target
from ..batches.remember_writes import touch
from ..batches.repeated_fields import refuse_repeated
from ..batches.step_under_way import Work
from ..batches.undo import documents, note_left_out, note_staying, part_of, undo_batches
from ..batches.walk import Batch, Reads, Walk
from ..batches.written_values import (
    digests_of,
    is_as_written,
    take_out_of,
    value_shape,
    values_in,
)
from ..expressions.id_list import NONE, IdList
from ..expressions.paths import FieldPath, Stages
from ..expressions.ranges import Query, both, ids_in
from ..expressions.raw_bson import id_key, literal_of
from .displaced_values import OURS_BACK, name_ours_back, note_ours, set_ours_aside
from .fields import (
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
from .handler import Handler, refuse_unwritable
from .put_back_values import note_leftovers, restore_values


class RenameFieldHandler(Handler[RenameField]):
    """Within one parent the field keeps its place; else it moves to the new parent.

    Undoing moves the value back that stands there now, also one of the app's. On the
    way back, in a downgrade too, the app may have written the field again that the
    value came from: its own value stays there, ours goes aside.
    """

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
        if (ours := work.before.get("ours")) is not None:
            restore_values(
                work,
                ours,
                collection=operation.collection,
                path=old,
                batch_size=operation.batch_size,
            )
        _note(work, operation.collection, new)
        note_ours(work, operation.collection, new, old, key=OURS_BACK)

    def tidy(self, operation: RenameField, work: Work) -> None:
        super().tidy(operation, work)
        for key in ("ours", OURS_BACK):
            if key in work.before:
                work.bench.asides.close(work.before[key])


class CopyFieldHandler(Handler[CopyField]):
    """What the copy overwrites goes aside."""

    leaves_out = True

    def before(self, operation: CopyField, work: Work) -> Mapping[str, Any]:
        source, target = FieldPath(operation.field), FieldPath(operation.target)
        refuse_unwritable(work, operation.collection)
        refuse_overlap(source, target)
        refuse_arrays(work, operation.collection, source, target)
        refuse_barred(work, operation.collection, target)
        if operation.overwrite or target.parent is not None:
            refuse_repeated(work, operation.collection, [target.text])
        if not operation.overwrite:
            if not work.is_downgrade:
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
            name, copied = operation.collection, value_shape(source.value)
            digests = digests_of(
                work, name, batch.ids, session, shape=copied, reach=batch.reach
            )
            details = with_digests(digests, standing_in(batch))
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
            leaves_out=note_left_out(work, operation.collection),
        )
        if operation.overwrite:
            walk_each_once(work, walk, write)
        else:
            walk_until_none_left(work, walk, write, problem=f"still lack {target.text}")
            if work.is_downgrade:
                note_not_copied(work, operation, source, target)
        note_arrays(work, operation.collection, source, target)
        note_unfit(work, operation.collection, target)

    def undo(self, operation: CopyField, work: Work) -> None:
        path = FieldPath(operation.target)

        def take_out(entry: Mapping[str, Any], session: ClientSession) -> IdList:
            kept, name = _kept(work, entry, session), operation.collection
            over = part_of(entry, lambda key: key in kept)
            fresh = part_of(entry, lambda key: key not in kept)
            stays = _put_over(work, name, path, over, kept, session)
            fresh_stays = take_out_of(work, name, path, fresh, session)
            return IdList.joined([stays, fresh_stays])

        undo_batches(work, take_out)
        _note(work, operation.collection, path)


def _note(work: Work, collection: str, path: FieldPath) -> None:
    """Note what undoing left, and what is kept of the values that were written over."""
    note_staying(work, collection, leaves_out=True)
    if (aside := work.before.get("aside")) is not None:
        note_leftovers(work, aside, collection, path)


def _put_over(
    work: Work,
    collection: str,
    path: FieldPath,
    entry: Mapping[str, Any],
    kept: Mapping[bytes, RawBSONDocument],
    session: ClientSession,
) -> IdList:
    """Put values back over their copies, but where a copy was changed since.

    Returns the `_id`s of those documents.
    """
    ids: IdList = entry["ids"]
    fields = values_in(work, collection, path, ids, session)
    details = zip(ids.keys, entry["details"], strict=True)
    same = {
        key: kept[key]
        for key, detail in details
        if key in fields and is_as_written(fields[key], detail, None)
    }
    Target(work, collection, session).update_each(
        (doc, path.set_to(literal_of(doc, "value"))) for doc in same.values()
    )
    _remove_kept(work, same, session)
    return ids.only(fields.keys() - same.keys())


def note_not_copied(
    work: Work, operation: CopyField, source: FieldPath, target: FieldPath
) -> None:
    """Note how many documents had the target of a copy already."""
    name = operation.collection
    had = work.db[name].count_documents(having_both(source, target))
    count = had - work.record.documents
    if count > 0:
        has, keeps = ("has", "keeps") if count == 1 else ("have", "keep")
        work.note(
            f"{documents(count)} of {name} {has} {target.text} already, and {keeps} "
            f"it: {source.text} was not copied over it"
        )


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
    """Return those documents of a batch whose target field has a value already."""
    return [document for document in batch.documents if "value" in document]


def shape_of(old: FieldPath, new: FieldPath) -> dict[str, Any]:
    """What is read of a document: where the two fields stand, what the second holds."""
    return {
        "_id": True,
        "value": new.value,
        "at": new.position,
        "standing": new.standing,
        "ours": old.value,
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
) -> None:
    """Undo the renaming of one batch.

    Where there is something in the place of the old field, the value goes aside.
    """
    ids, kept = ids_in(entry["ids"]), _kept(work, entry, session)
    keys = entry["ids"].keys
    places = dict(zip(keys, entry["details"] or [None] * len(keys), strict=True))
    barred = {"$expr": {"$and": [new.present, {"$not": [old.absent]}]}}
    shape = {"_id": True, "ours": new.value, "from": new.position}
    there = list(work.db[collection].find(both(ids, barred), shape, session=session))
    set_ours_aside(work, work.before[OURS_BACK], new, there, session)
    target = Target(work, collection, session)
    target.update_each(
        (document, stages)
        for document in there
        if (stages := _stages_without(new, places, kept, id_key(document)))
    )
    _remove_kept(work, _those_of(kept, map(id_key, there)), session)
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
    _remove_kept(work, _those_of(kept, ready), session)


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
    """Return the pipeline for a document whose value went aside: what it was before.

    Empty where there is nothing more to do.
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
