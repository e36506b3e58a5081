"""Copying a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...ops import CopyField
from ..asides.aside import Holds
from ..batches.batches import walk_each_once, walk_until_none_left
from ..batches.raw_collection import Target
from ..batches.remember_writes import touch
from ..batches.repeated_fields import refuse_repeated
from ..batches.step_under_way import Work
from ..batches.undo import documents, note_left_out, part_of, undo_batches
from ..batches.walk import Batch, Reads, Walk
from ..batches.written_values import (
    digests_of,
    is_as_written,
    take_out_of,
    value_shape,
    values_in,
)
from ..expressions.id_list import IdList
from ..expressions.paths import FieldPath
from ..expressions.raw_bson import literal_of
from ..forecast.look import Look
from ..forecast.names import roots
from ..mongosh.statements import Kept, Part, refuse_any, refuse_arrays_above
from .handler import refuse_unwritable
from .shared.kept_fields import (
    enter_values,
    keep_values,
    name_aside,
    note_arrays,
    note_unfit,
    refuse_arrays,
    refuse_barred,
    standing_in,
    with_digests,
)
from .shared.moves import (
    having_both,
    kept_with,
    moved,
    note_undone,
    overwritten_in,
    refuse_both,
    refuse_overlap,
    remove_kept,
    shape_of,
    with_room,
)
from .shared.passes import Pass, PassHandler, unfit, updates


class CopyFieldHandler(PassHandler[CopyField]):
    """Copies a field; what the copy overwrites is kept aside."""

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
            kept, name = kept_with(work, entry, session), operation.collection
            over = part_of(entry, lambda key: key in kept)
            fresh = part_of(entry, lambda key: key not in kept)
            stays = _put_over(work, name, path, over, kept, session)
            fresh_stays = take_out_of(work, name, path, fresh, session)
            return IdList.joined([stays, fresh_stays])

        undo_batches(work, take_out)
        note_undone(work, operation.collection, path)

    def passes(self, look: Look[CopyField]) -> Pass:
        operation = look.operation
        source, target = FieldPath(operation.field), FieldPath(operation.target)
        there = having_both(source, target)
        keeps_it = (there, f"a different {target.text} already, which remains")
        leaves = look.work.is_downgrade and not operation.overwrite
        return Pass(
            with_room(source, target, overwrite=operation.overwrite),
            updates(target.set_to(source.value)),
            refused=None
            if look.work.is_downgrade
            else ("collision", there, target.text),
            unfit=keeps_it if leaves else unfit(target),
        )

    def reads(self, operation: CopyField) -> frozenset[str]:
        return roots(operation.field, operation.target)

    def writes(self, operation: CopyField) -> frozenset[str]:
        return roots(operation.target)

    def why_not_standalone(self, operation: CopyField) -> str | None:
        if operation.overwrite:
            return "what overwrite=True keeps aside would be overwritten"
        return None

    def statements(self, operation: CopyField, part: Part) -> list[str]:
        source, target = FieldPath(operation.field), FieldPath(operation.target)
        name = operation.collection
        statements = refuse_arrays_above(name, source, target)
        if target.parent is not None:
            problem = f"has something else than a document above {target.text}"
            statements.append(refuse_any(name, {"$expr": target.barred}, problem))
        change = target.set_to(source.value)
        return [*statements, *moved(operation, source, target, change, part)]

    def kept(self, operation: CopyField) -> Kept | None:
        return Kept(operation.target, Holds.VALUES) if operation.overwrite else None


def _put_over(
    work: Work,
    collection: str,
    path: FieldPath,
    entry: Mapping[str, Any],
    kept: Mapping[bytes, RawBSONDocument],
    session: ClientSession,
) -> IdList:
    """Put values back over their copies, unless a copy was changed since.

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
    remove_kept(work, same, session)
    return ids.only(fields.keys() - same.keys())


def note_not_copied(
    work: Work, operation: CopyField, source: FieldPath, target: FieldPath
) -> None:
    """Note how many documents already had the target of a copy."""
    name = operation.collection
    had = work.db[name].count_documents(having_both(source, target))
    count = had - work.record.documents
    if count > 0:
        has, keeps = ("has", "keeps") if count == 1 else ("have", "keep")
        work.note(
            f"{documents(count)} of {name} {has} {target.text} already, and {keeps} "
            f"it: {source.text} was not copied over it"
        )
