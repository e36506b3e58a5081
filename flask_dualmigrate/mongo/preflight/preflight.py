"""Finding what makes a Mongo script unfit to run, before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.database import Database

from ...errors import DatabaseUnavailable, TreeError
from ...ops import Operation, Todo
from ...revisions import Step
from ..operations.registry import HANDLERS, why_not_standalone
from ..server.failures import told_as_operation_errors


def refuse_todos(step: Step, operations: Sequence[Operation], path: str) -> None:
    """Raise TreeError for a todo that is left. path: of the script."""
    for operation in operations:
        if isinstance(operation, Todo):
            raise TreeError(
                f"Revision {step.revision.id} has a todo left: {operation.text}",
                where=path,
                hint=f"Write it with: flask db-migrate edit {step.revision.id}",
            )


def refuse_uncallables(
    step: Step, operations: Sequence[Operation], db: Database[Any]
) -> None:
    """Raise OperationError for a function that cannot be called here."""
    for number, operation in enumerate(operations):
        handler = HANDLERS.get(type(operation))
        if handler is not None:
            where = f"revision {step.revision.id}, step {number}: {operation.verb}"
            with told_as_operation_errors(step=number, where=where):
                handler.refuse(operation, db)


def refuse_without_transactions(
    step: Step, operations: Sequence[Operation], path: str
) -> None:
    """Raise DatabaseUnavailable for what a standalone server cannot do safely."""
    for operation in operations:
        why = why_not_standalone(operation)
        if why is not None:
            raise DatabaseUnavailable(
                "This MongoDB is a standalone server, without transactions, and "
                f"revision {step.revision.id} has an operation that needs them "
                f"({operation.describe()}): {why}",
                where=path,
                hint="Start it as a replica set; one member is enough.",
            )
