"""The steps to change the labels of an enum type that columns use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from alembic.operations import ops
from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import DefaultClause
from sqlalchemy.types import TypeEngine

from ...sql.tokens import escape_colons
from ..tables.casts import using
from ..tables.enums import ChangeEnumOp, EnumColumn, EnumType, add_values
from ..tables.evolve import index_mentions
from ..tables.postgres_names import aside_name
from ..tables.state import index_state, sql_of
from ..tables.walk import leaves
from .repair_columns import ColumnOp, constant_sql
from .steps import Call, Scope, execute


def change_enum(
    op: ChangeEnumOp, operations: Sequence[ops.MigrateOperation], scope: Scope
) -> Iterator[Call]:
    """Add labels to the type, or recreate it if any are removed, moved or used.

    A label cannot be used in the transaction that adds it.
    operations: all those in the script, which may use it.
    """
    old, new = set(op.old.labels), set(op.new.labels)
    stay = tuple(label for label in op.new.labels if label in old)
    if stay == op.old.labels and not _uses(new - old, operations, scope):
        for statement in add_values(op, scope.dialect):
            yield execute(statement)
        return
    name = op.new.sql_name(scope.dialect)
    aside = EnumType(op.old.schema, aside_name(op.old.name), ())
    indexes = list(_indexes_in_the_way(op, scope))
    for index in indexes:
        yield Call(ops.DropIndexOp.from_index(index))
    yield execute(f"ALTER TYPE {name} RENAME TO {scope.quote(aside.name)}")
    yield execute(op.new.create(scope.dialect))
    for column in op.columns:
        yield from _retype(op, column, scope)
    yield execute(aside.drop(scope.dialect))
    for index in indexes:
        yield Call(ops.CreateIndexOp.from_index(index))


def _indexes_in_the_way(op: ChangeEnumOp, scope: Scope) -> Iterator[Index]:
    """Yield the indexes whose conditions or expressions contain a value of the type."""
    for schema, name, column in (item.place for item in op.columns):
        table = scope.database.table(schema, name)
        for index in sorted(table.indexes, key=_name) if table is not None else ():
            state = index_state(index, scope.dialect)
            plain = state.where is None and len(state.columns) == len(state.keys)
            if not plain and index_mentions(state, column):
                yield index


def _name(index: Index) -> str:
    return str(index.name)


def _retype(op: ChangeEnumOp, column: EnumColumn, scope: Scope) -> Iterator[Call]:
    """Change a column, and its default, from the old type to the new one."""
    schema, table, name = column.place
    known = None if schema == scope.dialect.default_schema_name else schema
    alter = partial(ops.AlterColumnOp, table, name, schema=known)
    if column.default is not None:
        yield Call(alter(modify_server_default=None))
    old: TypeEngine[Any] = op.old.of_type()
    new: TypeEngine[Any] = op.new.of_type()
    if column.is_array:
        old, new = ARRAY(old), ARRAY(new)
    expression = str(using(name, old, new, scope.dialect))
    yield Call(
        alter(existing_type=old, modify_type=new), {"postgresql_using": expression}
    )
    if column.default is not None:
        default = DefaultClause(text(escape_colons(column.default)))
        yield Call(alter(modify_server_default=default))


def _uses(
    labels: set[str], operations: Sequence[ops.MigrateOperation], scope: Scope
) -> bool:
    """Return True if the operations may use one of these labels."""
    texts: list[str] = []
    for op in leaves(operations):
        if isinstance(op, ops.CreateIndexOp):
            texts.append(index_state(op.to_index(), scope.dialect).where or "")
        elif isinstance(op, ColumnOp):
            texts += _defaults(op, scope)
    return any(label in text for label in labels for text in texts)


def _defaults(op: ColumnOp, scope: Scope) -> list[str]:
    """Return the SQL of the defaults that an operation sets or fills in."""
    if isinstance(op, ops.AddColumnOp):
        name, default = str(op.column.name), op.column.server_default
    else:
        name, default = op.column_name, op.modify_server_default
    column = scope.left.column(op.schema, op.table_name, name)
    found = [] if column is None else [constant_sql(op, column, scope) or ""]
    if isinstance(default, DefaultClause):
        found.append(sql_of(default.arg, scope.dialect))
    return found
