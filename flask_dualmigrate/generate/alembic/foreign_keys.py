"""Foreign keys on columns whose type changes: dropped before, and recreated after.

PostgreSQL rejects a key whose two sides cannot be compared, and one side changes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops
from sqlalchemy import ForeignKeyConstraint, Integer, Table

from ...alembic_scripts import foreign_key_op
from ..tables.casts import both_text, same_kind
from ..tables.state import final_name
from ..tables.types import plain_type
from ..tables.walk import leaves
from .steps import Call, Scope

Place = tuple[str | None, str, str]
"""A column: schema (None for the default one), table, name."""


def keys_around(
    operations: Sequence[ops.MigrateOperation], scope: Scope
) -> tuple[list[Call], list[Call]]:
    """Return operations that drop keys in the way of type changes, and recreate them.

    Keys that the given operations drop or create themselves are left to those.
    """
    found = list(leaves(operations))
    changed = {
        (_schema(op.schema, scope), str(op.table_name), str(op.column_name))
        for op in found
        if isinstance(op, ops.AlterColumnOp) and _becomes_another(op, scope)
    }
    handled = {
        (str(op.source_table), final_name(op.constraint_name, scope.dialect))
        if isinstance(op, ops.CreateForeignKeyOp)
        else (str(op.table_name), final_name(op.constraint_name, scope.dialect))
        for op in found
        if isinstance(op, ops.CreateForeignKeyOp | ops.DropConstraintOp)
    }
    gone = {str(op.table_name) for op in found if isinstance(op, ops.DropTableOp)}
    gone |= {str(op.table_name) for op in found if isinstance(op, ops.CreateTableOp)}
    drops, creates = [], []
    for table, key in _keys(scope) if changed else ():
        name = str(key.name)
        is_handled = (str(table.name), name) in handled or str(table.name) in gone
        if is_handled or not changed & {*_places(table, key, scope)}:
            continue
        drops.append(
            Call(
                ops.DropConstraintOp(
                    name, table.name, type_="foreignkey", schema=table.schema
                )
            )
        )
        creates.append(Call(foreign_key_op(table.name, table.schema, key)))
    return drops, creates


def _becomes_another(op: ops.AlterColumnOp, scope: Scope) -> bool:
    """Return whether the old and the new type might not be comparable."""
    old, new = op.existing_type, op.modify_type
    if old is None or new is None or both_text(old, new, scope.dialect):
        return False
    plain = [plain_type(type_, scope.dialect) for type_ in (old, new)]
    if all(isinstance(type_, Integer) for type_ in plain):
        return False
    return not same_kind(old, new, scope.dialect) or type(plain[0]) is not type(
        plain[1]
    )


def _keys(scope: Scope) -> Iterator[tuple[Table, ForeignKeyConstraint]]:
    for _, table in sorted(scope.database.by_name.items(), key=lambda item: str(item)):
        for key in sorted(table.foreign_key_constraints, key=lambda k: str(k.name)):
            yield table, key


def _places(table: Table, key: ForeignKeyConstraint, scope: Scope) -> Iterator[Place]:
    """Yield the columns on both ends of a key."""
    for name in key.column_keys:
        yield _schema(table.schema, scope), str(table.name), str(name)
    for element in key.elements:
        place, _, column = element.target_fullname.rpartition(".")
        schema, _, target = place.rpartition(".")
        yield _schema(schema or None, scope), target, column


def _schema(schema: Any, scope: Scope) -> str | None:
    return None if schema in (None, scope.dialect.default_schema_name) else str(schema)
