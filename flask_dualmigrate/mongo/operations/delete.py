"""Deleting documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from ...backend import Loss
from ...ops import Delete
from ..asides.aside import Holds
from ..batches.batches import walk_until_none_left
from ..batches.raw_collection import Target
from ..batches.step_under_way import Work
from ..batches.undo import documents, note_left_out
from ..batches.walk import Batch, Reads
from ..expressions.id_list import IdList
from ..expressions.ranges import ids_in
from ..expressions.raw_bson import id_key
from ..forecast.look import Look
from ..forecast.names import ANY
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
from .shared.losses import counted
from .shared.passes import Pass, PassHandler
from .shared.put_back_documents import taken_ids, there_already
from .shared.put_back_values import drain


class DeleteHandler(PassHandler[Delete]):
    """Deletes documents, keeping them aside unchanged in the same transaction.

    It leaves out those that an insert of the same script left in an earlier run.
    """

    removes = True

    def before(self, operation: Delete, work: Work) -> Mapping[str, Any]:
        refuse_unwritable(work, operation.collection)
        work.native(operation.filter)
        return name_images(work, operation)

    def apply(self, operation: Delete, work: Work) -> None:
        enter_images(work, operation)

        def write(work: Work, batch: Batch, session: ClientSession) -> int:
            keep_images(work, batch, batch.documents, session)
            target = work.db[operation.collection]
            return target.delete_many(batch.query, session=session).deleted_count

        left_out = note_left_out(work, operation.collection)
        reads = Reads.IDS if left_out else Reads.BOUNDS
        reads = Reads.DOCUMENTS if operation.keep else reads
        walk = walk_of(work, operation, reads, leaves_out=left_out)
        walk_until_none_left(work, walk, write, problem=STILL_MATCH)

    def why_not(self, operation: Delete, record: StepRecord) -> str | None:
        if operation.keep or record.wrote_nothing:
            return None
        return "delete(…, keep=False) kept nothing to restore"

    def undo(self, operation: Delete, work: Work) -> None:
        if not operation.keep:
            return
        aside = work.before["aside"]

        def insert(kept: Sequence[RawBSONDocument], session: ClientSession) -> None:
            taken = taken_ids(work, operation.collection, kept, session)
            back = [doc for doc in kept if id_key(doc) not in taken]
            if back:
                Target(work, operation.collection, session).insert(back)
            there = there_already(work, operation.collection, kept, session)
            gone = ids_in(IdList.of([*back, *there]))
            work.db[aside].delete_many(gone, session=session)

        drain(work, aside, insert, batch_size=operation.batch_size)
        left = work.db[aside].count_documents({})
        if left:
            how, they = ("was", "one stays") if left == 1 else ("were", "ones stay")
            work.note(
                f"{documents(left)} of {operation.collection} that {how} deleted "
                f"came back since: the former {they} in {aside}"
            )

    def passes(self, look: Look[Delete]) -> Pass:
        return Pass(look.work.native(look.operation.filter), None)

    def reads(self, operation: Delete) -> frozenset[str]:
        return ANY

    def writes(self, operation: Delete) -> frozenset[str]:
        return ANY

    def why_not_standalone(self, operation: Delete) -> str | None:
        return None

    def loss(self, operation: Delete, db: Database[Any]) -> Loss:
        name = operation.collection
        return counted(db, operation, name, operation.filter, "documents")

    def statements(self, operation: Delete, part: Part) -> list[str]:
        query = part.work.native(operation.filter)
        write = call(on(operation.collection), "deleteMany", query)
        return [*images_kept(operation, query, part), write]

    def kept(self, operation: Delete) -> Kept | None:
        return Kept("documents", Holds.DOCUMENTS) if operation.keep else None
