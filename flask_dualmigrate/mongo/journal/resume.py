"""How a run treats the records that an earlier one left: pure decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...backend import Doubt
from ...errors import IntegrityError, StepInDoubt
from ...ops import Insert, Kind, Operation
from ..server.failures import shortened
from .step_record import StepRecord, StepStatus

_SUBJECT = (
    "collection",
    "field",
    "new_name",
    "target",
    "to",
    "name",
    "keep",
    "overwrite",
)


def subject_of(operation: Operation) -> dict[str, Any]:
    """Return what an operation is about, and what its undo log depends on."""
    found = {
        name: getattr(operation, name) for name in _SUBJECT if hasattr(operation, name)
    }
    if hasattr(operation, "undo"):
        found["undo"] = operation.undo is not None
    return found


def is_begun(records: Sequence[StepRecord]) -> bool:
    """True if any part of a script is done or begun, and not undone."""
    return any(record.status is not StepStatus.UNDONE for record in records)


def groups_of(
    records: Mapping[int, StepRecord], operations: Sequence[Operation]
) -> list[str]:
    """Return the group of each operation, which identifies it in a later run.

    An operation that was moved keeps its group; so does one that was edited in place
    after it was undone. Equal operations are distinguished by their order.
    """
    prints = [operation.fingerprint() for operation in operations]
    groups = []
    for step, operation in enumerate(operations):
        former = records.get(step)
        edited = former is not None and former.fingerprint not in prints
        if former is not None and edited and _same_subject(former, operation):
            groups.append(former.group)
            continue
        count = prints[:step].count(prints[step])
        groups.append(f"{prints[step]}#{count}" if count else prints[step])
    return groups


_MARKS = {
    StepStatus.DONE: " - done already",
    StepStatus.STARTED: " - begun, is carried on",
}


def described(
    operations: Sequence[Operation], records: Mapping[int, StepRecord]
) -> tuple[str, ...]:
    """Return each operation in words, with what an earlier run did of it."""
    marks = {step: _MARKS.get(each.status, "") for step, each in records.items()}
    return tuple(
        f"{operation.describe()}{marks.get(step, '')}"
        for step, operation in enumerate(operations)
    )


def refuse_changed(
    records: dict[int, StepRecord], operations: Sequence[Operation]
) -> None:
    """Raise IntegrityError if the script no longer contains what was done or begun."""
    for step, record in records.items():
        if record.status is StepStatus.UNDONE:
            continue
        operation = operations[step] if step < len(operations) else None
        if operation is not None and _continues(record, operation):
            continue
        what = "was removed from" if operation is None else "was changed in"
        state = "done" if record.status is StepStatus.DONE else "begun"
        raise IntegrityError(
            f"Step {step} of revision {record.revision} ({record.verb}) {what} the "
            f"script after it was {state}",
            where=f"revision {record.revision}, step {step}",
            hint=_way_out(record),
        )


def _way_out(record: StepRecord) -> str:
    if record.verb == "run" and record.error is not None:
        return (
            "The function that a failing run() calls may be fixed, but keep its "
            "name. Or restore it, add further operations after it, and skip it with: "
            f"flask db-migrate repair {record.revision} --step {record.step} --done"
        )
    return "Restore the operation as it was; add further ones after it."


def _continues(record: StepRecord, operation: Operation) -> bool:
    """True if a record is of this operation, or of one that may still be edited.

    A failed one may be: its batches continue from the checkpoint with the new version.
    """
    if record.fingerprint == operation.fingerprint():
        return True
    if record.status is StepStatus.DONE or not _same_subject(record, operation):
        return False
    if record.status is StepStatus.UNDOING:
        return True
    if isinstance(operation, Insert):
        return False
    return record.kind is Kind.TRANSACTIONAL or record.error is not None


def _same_subject(record: StepRecord, operation: Operation) -> bool:
    return (
        record.verb == operation.verb
        and record.kind == operation.kind
        and dict(record.subject) == subject_of(operation)
    )


def operation_of(record: StepRecord, operations: Sequence[Operation]) -> Operation:
    """Return the operation that a record describes, to undo it."""
    if record.step < len(operations):
        operation = operations[record.step]
        if _same_subject(record, operation):
            return operation
    raise IntegrityError(
        f"Step {record.step} of revision {record.revision} ({record.verb}) was changed "
        "in the script after it was begun, so it cannot be undone",
        where=f"revision {record.revision}, step {record.step}",
        hint="Restore the operation as it was, and run it again.",
    )


def may_be_decided(record: StepRecord) -> bool:
    """True for an unsafe step that is in doubt, or that failed but may have worked."""
    return record.kind is Kind.UNSAFE and record.status is StepStatus.STARTED


def in_doubt(record: StepRecord) -> bool:
    """True for an unsafe step that a crash left begun: it may or may not be done."""
    return (
        record.kind is Kind.UNSAFE
        and record.status is StepStatus.STARTED
        and record.error is None
    )


def doubts(records: Sequence[StepRecord]) -> tuple[Doubt, ...]:
    """Return the steps that only a person can decide."""
    return tuple(
        Doubt(
            step=record.step,
            verb=record.verb,
            began=record.started_at,
            by=record.by,
            host=record.host,
            failed=not in_doubt(record),
        )
        for record in records
        if may_be_decided(record)
    )


def doubt(record: StepRecord, operation: Operation) -> StepInDoubt:
    began = f"{record.started_at:%Y-%m-%d %H:%M:%S} UTC" if record.started_at else "?"
    return StepInDoubt(
        f"Step {record.step} of revision {record.revision} is in doubt: it was started "
        f"at {began} by {record.by} on {record.host}, and its outcome was not recorded",
        where=where_of(operation, record),
        hint="Check what it did. If it did its work: flask db-migrate repair "
        f"{record.revision} --step {record.step} --done; if it may be called "
        "again, --retry instead of --done",
    )


def where_of(operation: Operation, record: StepRecord) -> str:
    described = shortened(operation.describe())
    return f"revision {record.revision}, step {record.step}: {described}"
