"""Walk through Alembic's operations, and find which table each is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy.engine import Dialect

from .state import full_name


def leaves(operations: Sequence[ops.MigrateOperation]) -> Iterator[Any]:
    """Yield the operations one by one, including those inside a table or batch."""
    for operation in operations:
        if isinstance(operation, ops.OpContainer):
            yield from leaves(operation.ops)
        else:
            yield operation


def table_of(op: Any, dialect: Dialect) -> str | None:
    """Return the full name of the table that an operation is about."""
    name = getattr(op, "table_name", None) or getattr(op, "source_table", None)
    schema = getattr(op, "schema", None)
    if isinstance(op, ops.CreateForeignKeyOp):
        schema = op.kw.get("source_schema")
    return full_name(str(name), schema, dialect) if name else None
