"""What can be done with an open attempt, according to its records. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from ...backend import Ways
from ...errors import IntegrityError
from ...ops import Operation
from ..journal.resume import operation_of, refuse_changed, where_of
from ..journal.step_record import StepRecord, StepStatus
from ..operations.registry import HANDLERS


def find_ways(records: Sequence[StepRecord], operations: Sequence[Operation]) -> Ways:
    """Return whether a run can continue, and whether everything can be undone.

    records: of the steps that were begun, including what their parts wrote.
    """
    return Ways(_not_on(records, operations), _not_back(records, operations))


def _not_on(
    records: Sequence[StepRecord], operations: Sequence[Operation]
) -> str | None:
    try:
        refuse_changed({record.step: record for record in records}, operations)
    except IntegrityError as error:
        return str(error)
    return None


def _not_back(
    records: Sequence[StepRecord], operations: Sequence[Operation]
) -> str | None:
    for record in reversed(records):
        if record.status is StepStatus.UNDONE:
            continue
        try:
            operation = operation_of(record, operations)
        except IntegrityError as error:
            return str(error)
        why_not = HANDLERS[type(operation)].why_not(operation, record)
        if why_not is not None:
            return f"{where_of(operation, record)}: {why_not}"
    return None
