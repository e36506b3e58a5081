"""Keeping copies of documents before they are written or deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ....ops import Delete, Transform, Update
from ...asides.aside import Holds
from ...batches.step_under_way import Work
from ...batches.walk import Batch, Reads, Walk
from ...expressions.ranges import Query
from ...mongosh.statements import Part
from .kept_fields import keep_values

STILL_MATCH = "still match the filter"


DocumentOperation = Update | Transform | Delete


def walk_of(
    work: Work,
    operation: DocumentOperation,
    reads: Reads,
    *,
    leaves_out: bool = False,
) -> Walk:
    return Walk(
        operation.collection,
        work.native(operation.filter),
        operation.batch_size,
        reads,
        workers=operation.workers,
        leaves_out=leaves_out,
    )


def name_images(work: Work, operation: DocumentOperation) -> dict[str, Any]:
    """Choose the aside for the original documents, if they are kept."""
    if not operation.keep:
        return {}
    label = f"{operation.collection}.documents"
    return {"aside": work.bench.asides.free_name(work.record.revision, label)}


def enter_images(work: Work, operation: DocumentOperation) -> None:
    if operation.keep:
        work.bench.asides.enter(
            work.before["aside"],
            work.record,
            Holds.DOCUMENTS,
            of=operation.collection,
        )


def keep_images(
    work: Work,
    batch: Batch,
    documents: Iterable[RawBSONDocument],
    session: ClientSession,
) -> None:
    aside = work.before.get("aside")
    if aside is not None:
        keep_values(work, aside, batch, session, list(documents))


def images_kept(operation: Update | Delete, query: Query, part: Part) -> list[str]:
    """Return the statements that keep the documents aside."""
    if not part.aside:
        return []
    return [*part.keep(operation, query), part.enter(operation)]
