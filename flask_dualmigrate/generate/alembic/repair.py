"""Turns Alembic's operations into a script that PostgreSQL runs as is, both ways.

It adds what Alembic leaves to the user: enum types, USING for a type change, a default
that cannot be cast automatically, NOT NULL on columns with nulls, schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from alembic.operations import ops

from ..tables.database_ops import DatabaseOp
from ..tables.enums import ChangeEnumOp, EnumPlan
from ..tables.evolve import dropped_name
from ..tables.state import final_name
from ..tables.walk import leaves
from .concurrent_indexes import part_concurrent
from .foreign_keys import keys_around
from .index_definitions import constraint_sql, included, with_included
from .repair_columns import add_column, alter_column
from .repair_enums import change_enum
from .sequences import without_serial
from .session_settings import set_for_script
from .steps import Call, Note, OnTable, Scope, Step, execute


@dataclass(frozen=True)
class Repair:
    """Turns operations into steps.

    enums: the types to create before everything else, and to drop after it. schemas:
    those to create.
    """

    scope: Scope
    enums: EnumPlan
    schemas: tuple[str, ...] = ()

    def steps(self, operations: Sequence[ops.MigrateOperation]) -> list[Step]:
        """Return the steps of upgrade() or downgrade()."""
        dialect = self.scope.dialect
        dropped = {
            dropped_name(op, dialect)
            for op in leaves(operations)
            if isinstance(op, ops.DropIndexOp)
        }
        scope = replace(self.scope, dropped=frozenset(name for name in dropped if name))
        found: list[Step] = [
            execute(f"CREATE SCHEMA IF NOT EXISTS {scope.quote(name)}")
            for name in self.schemas
        ]
        found += set_for_script(operations, scope)
        found += [execute(enum.create(dialect)) for enum in self.enums.created]
        apart, operations = part_concurrent(operations, dialect)
        drops, creates = keys_around(operations, scope)
        found += drops
        for op in operations:
            if isinstance(op, ChangeEnumOp):
                found += change_enum(op, operations, scope)
            elif isinstance(op, DatabaseOp):
                found += map(execute, op.first(dialect))
                if not op.is_made:
                    found.append(Note(f"{op.words[0].upper()}{op.words[1:]}."))
            elif isinstance(op, ops.ModifyTableOps):
                steps = (step for inner in op.ops for step in _step(inner, scope))
                found.append(OnTable(op, tuple(steps)))
            else:
                found += _step(op, scope)
        found += creates
        for op in operations:
            if isinstance(op, DatabaseOp):
                found += map(execute, op.last(dialect))
        return [
            *apart,
            *found,
            *(execute(enum.drop(dialect)) for enum in self.enums.dropped[::-1]),
        ]


def _step(op: ops.MigrateOperation, scope: Scope) -> Iterator[Call | Note]:
    if isinstance(op, ops.AddColumnOp):
        yield from add_column(op, scope)
    elif isinstance(op, ops.AlterColumnOp):
        yield from alter_column(op, scope)
    elif isinstance(op, ops.CreateTableOp):
        yield Call(without_serial(op))
    elif isinstance(op, ops.CreateUniqueConstraintOp) and included(op):
        table = scope.quote(op.schema, op.table_name)
        name = scope.quote(final_name(op.constraint_name, scope.dialect))
        sql = constraint_sql(with_included(op), scope.dialect)
        yield execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {sql}")
    else:
        yield Call(op)
