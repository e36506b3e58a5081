"""Indexes that the models want CONCURRENTLY: outside the revision's transaction.

PostgreSQL does not allow it in a transaction. On a table that the same revision creates
or drops it is pointless: no one writes there.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence

from alembic.operations import ops
from sqlalchemy.engine import Dialect

from ..tables.walk import leaves, table_of
from .steps import Call, Outside, Step

IndexOp = ops.CreateIndexOp | ops.DropIndexOp
_CONCURRENTLY = "postgresql_concurrently"


def part_concurrent(
    operations: Sequence[ops.MigrateOperation], dialect: Dialect
) -> tuple[list[Step], list[ops.MigrateOperation]]:
    """Return the steps for such indexes, and the operations without them.

    The steps come first: their block commits everything before it, which would be
    repeated after a failure. An index on a column of the same revision stays in the
    transaction, and is built without CONCURRENTLY.
    """
    whole = (ops.CreateTableOp, ops.DropTableOp)
    tables = {
        table_of(op, dialect) for op in leaves(operations) if isinstance(op, whole)
    }
    added = {
        (table_of(op, dialect), str(op.column.name))
        for op in leaves(operations)
        if isinstance(op, ops.AddColumnOp)
    }
    apart: list[Call] = []

    def kept(op: ops.MigrateOperation) -> ops.MigrateOperation | None:
        if isinstance(op, ops.ModifyTableOps):
            inner = [each for each in map(kept, op.ops) if each is not None]
            return ops.ModifyTableOps(op.table_name, inner, schema=op.schema)
        if not isinstance(op, IndexOp) or not op.kw.get(_CONCURRENTLY):
            return op
        table = table_of(op, dialect)
        new = [name for place, name in added if place == table]
        if table in tables or any(_mentions(op, name) for name in new):
            return _plainly(op)
        apart.append(_again(op))
        return None

    rest = [each for each in map(kept, operations) if each is not None]
    apart.sort(key=lambda call: isinstance(call.op, ops.CreateIndexOp))
    return ([Outside(tuple(apart))] if apart else []), rest


def _mentions(op: IndexOp, column: str) -> bool:
    if isinstance(op, ops.DropIndexOp):
        return False
    said = [*map(str, op.columns), *(str(value) for value in op.kw.values())]
    return any(re.search(rf"\b{re.escape(column)}\b", text) for text in said)


def _plainly(op: IndexOp) -> IndexOp:
    found = copy.copy(op)
    found.kw = {key: value for key, value in op.kw.items() if key != _CONCURRENTLY}
    return found


def _again(op: IndexOp) -> Call:
    """Return the operation in a form that can be repeated after a failure."""
    found = copy.copy(op)
    if isinstance(found, ops.CreateIndexOp):
        found.if_not_exists = True
    else:
        found.if_exists = True
    return Call(found)
