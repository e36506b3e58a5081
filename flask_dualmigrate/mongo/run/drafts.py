"""The record of a step when it begins, and when a later run continues it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...backend.journal import Actor
from ...ops import Operation
from ...revisions import Direction
from ..batches.step_under_way import Work
from ..journal.resume import subject_of
from ..journal.step_record import StepRecord, StepStatus
from ..operations.registry import HANDLERS


class Place(NamedTuple):
    """Which operation of which script; step: its index, from 0."""

    revision: str
    direction: Direction
    step: int


def draft_of(
    place: Place,
    operation: Operation,
    *,
    token: int,
    group: str,
    again: bool,
    later: Sequence[str] = (),
) -> StepRecord:
    """Return the record of an operation that begins. group, again, later: as in it."""
    actor = Actor.current()
    return StepRecord(
        revision=place.revision,
        direction=place.direction,
        step=place.step,
        verb=operation.verb,
        fingerprint=operation.fingerprint(),
        group=group,
        again=again,
        later=tuple(later),
        kind=operation.kind,
        subject=subject_of(operation),
        status=StepStatus.STARTED,
        token=token,
        by=f"{actor.user} (pid {actor.pid})",
        host=actor.host,
    )


def inserting_after(
    step: int, operations: Sequence[Operation], groups: Sequence[str]
) -> list[str]:
    """Return the groups of later steps that insert into a step's collection."""
    first, found = operations[step], []
    if HANDLERS[type(first)].fills or not hasattr(first, "collection"):
        return []
    name = first.collection
    for operation, group in zip(operations[step:], groups[step:], strict=True):
        handler = HANDLERS[type(operation)]
        if getattr(operation, "collection", None) != name:
            continue
        if handler.fills:
            found.append(group)
        name = handler.moves_to(operation) or name
    return found


def carry_on(work: Work, operation: Operation) -> None:
    """Take over the record of a step that was begun; note if the script changed."""
    record, fingerprint = work.record, operation.fingerprint()
    actor = Actor.current()
    work.save(
        fingerprint=fingerprint,
        error=None,
        by=f"{actor.user} (pid {actor.pid})",
        host=actor.host,
        run_documents=record.documents,
        stamp="run_at",
    )
    if record.fingerprint != fingerprint and record.documents:
        work.note(
            f"the operation was edited after {record.documents} documents "
            "were done; the rest used the new version"
        )
