"""Writing a batch, and remembering which of its documents were written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pymongo.client_session import ClientSession

from ..expressions.id_list import IdList
from .step_under_way import Work
from .walk import Batch

Write = Callable[[Work, Batch, ClientSession], int]
"""Does the work of a batch in its transaction; returns how many documents it wrote.

It may be called again with the same batch, after the transaction was aborted; and by
several threads at once, each with a Work of its own.
"""


def write_batch(work: Work, batch: Batch, write: Write, session: ClientSession) -> int:
    """Write a batch; if all of it is left out, remember only that it was seen."""
    if not batch.is_empty:
        work.begin_writing()
        return write(work, batch, session)
    if batch.left_out and batch.walk.remembers and not batch.alone:
        touch(work, batch, session)
    return 0


def touch(
    work: Work,
    batch: Batch,
    session: ClientSession,
    *,
    ids: Sequence[Any] | None = None,
    details: Sequence[Any] = (),
    **wrote: Any,
) -> None:
    """Remember which documents of a batch were written, so that they can be undone.

    ids: those written; by default all of the batch. details, wrote: as in Touched.
    """
    place: dict[str, Any] = (
        {"reach": batch.reach} if batch.of is None else {"of": batch.of}
    )
    if batch.of is None and batch.round:
        place["again"] = True
    others = [batch.left_out]
    if ids is None:
        ids = batch.ids
    elif len(ids) < len(batch.ids):
        others.append(batch.ids.without(IdList.like(ids).keys))
    if any(others):
        place["others"] = IdList.joined(others)
    work.bench.touched.add(work.record, ids, session, details=details, **place, **wrote)
