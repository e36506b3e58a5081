"""How each of Alembic's operations changes the tables in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from alembic.operations import ops
from sqlalchemy.dialects.postgresql import ARRAY, ENUM
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import (
    CheckConstraint,
    DefaultClause,
    FetchedValue,
    Identity,
)
from sqlalchemy.types import NullType, TypeEngine

from ...alembic_scripts import by_class
from ...sql import tokens as sql_tokens
from .enums import ChangeEnumOp, enum_type, enums_of
from .state import (
    ColumnState,
    IndexState,
    Key,
    Schema,
    TableState,
    check_state,
    column_state,
    constraint_index,
    final_name,
    full_name,
    index_state,
    table_state,
)
from .types import plain_type
from .walk import table_of


def evolve(schema: Schema, op: Any, dialect: Dialect) -> dict[str, TableState]:
    """Return the tables after an operation; an unknown operation changes nothing."""
    if isinstance(op, ChangeEnumOp):
        return {
            name: _change_enum(table, op, dialect) for name, table in schema.items()
        }
    after = dict(schema)
    name = table_of(op, dialect)
    if name is None:
        return after
    if isinstance(op, ops.CreateTableOp):
        after[name] = replace(table_state(op.to_table(), dialect), name=name)
    elif isinstance(op, ops.DropTableOp):
        after.pop(name, None)
    elif isinstance(op, ops.RenameTableOp):
        new_name = full_name(op.new_table_name, op.schema, dialect)
        after[new_name] = replace(after.pop(name, TableState(name)), name=new_name)
    else:
        change = by_class(_CHANGES, op)
        if change is not None:
            after[name] = change(after.get(name, TableState(name)), op, dialect)
    return after


def _add_column(table: TableState, op: ops.AddColumnOp, _: Dialect) -> TableState:
    column = column_state(op.column)
    return replace(table, columns={**table.columns, column.name: column})


def _drop_column(table: TableState, op: ops.DropColumnOp, _: Dialect) -> TableState:
    """Drop a column with every index and check that uses it, as PostgreSQL does."""
    gone = op.column_name
    return replace(
        table,
        columns={name: col for name, col in table.columns.items() if name != gone},
        indexes={
            name: index
            for name, index in table.indexes.items()
            if not index_mentions(index, gone)
        },
        checks={
            name: text
            for name, text in table.checks.items()
            if not sql_tokens.mentions(text, gone)
        },
    )


def index_mentions(index: IndexState, column: str) -> bool:
    """Return True if an index is on a column, or its condition names it."""
    texts = [key.expression for key in index.keys if key.expression is not None]
    texts += [index.where] if index.where is not None else []
    return column in index.columns or any(
        sql_tokens.mentions(text, column) for text in texts
    )


def _alter_column(table: TableState, op: ops.AlterColumnOp, _: Dialect) -> TableState:
    name = str(op.column_name)
    column = column_of(table, op)
    if op.modify_type is not None:
        type_ = op.modify_type
        column = replace(column, type_=type_() if isinstance(type_, type) else type_)
    if op.modify_nullable is not None:
        column = replace(column, nullable=op.modify_nullable)
    if op.modify_server_default is not False:
        column = replace(column, server_default=_default(op.modify_server_default))
    new_name = str(op.modify_name or name)
    columns = {**table.columns, name: replace(column, name=new_name)}
    if new_name == name:
        return replace(table, columns=columns)
    return replace(
        table,
        columns={column.name: column for column in columns.values()},
        indexes={
            key: _rename_in_index(index, name, new_name)
            for key, index in table.indexes.items()
        },
        checks={
            key: sql_tokens.rename(text, name, new_name)
            for key, text in table.checks.items()
        },
    )


def _default(default: Any) -> Any:
    """Return a server default as a column stores it: a script may give a string."""
    if default is None or default is False:
        return None
    if isinstance(default, FetchedValue | Identity):
        return default
    return DefaultClause(default)


def column_of(table: TableState, op: ops.AlterColumnOp) -> ColumnState:
    """Return the column as it is, or as the operation says it is."""
    known = table.columns.get(str(op.column_name))
    if known is not None:
        return known
    type_ = op.existing_type or NullType()
    return ColumnState(
        str(op.column_name),
        type_() if isinstance(type_, type) else type_,
        op.existing_nullable is not False,
        _default(op.existing_server_default),
    )


def _rename_in_index(index: IndexState, old: str, new: str) -> IndexState:
    keys = tuple(_rename_in_key(key, old, new) for key in index.keys)
    where = None if index.where is None else sql_tokens.rename(index.where, old, new)
    return replace(index, keys=keys, where=where)


def _rename_in_key(key: Key, old: str, new: str) -> Key:
    if key.column == old:
        return replace(key, column=new)
    if key.expression is None:
        return key
    return replace(key, expression=sql_tokens.rename(key.expression, old, new))


def _add_index(table: TableState, index: IndexState) -> TableState:
    return replace(table, indexes={**table.indexes, index.name: index})


def _create_index(
    table: TableState, op: ops.CreateIndexOp, dialect: Dialect
) -> TableState:
    return _add_index(table, index_state(op.to_index(), dialect))


def _create_constraint(
    table: TableState,
    op: ops.CreateUniqueConstraintOp | ops.CreatePrimaryKeyOp,
    dialect: Dialect,
) -> TableState:
    constraint = op.to_constraint()
    index = constraint_index(constraint, constraint.table, dialect)
    table = _add_index(table, index)
    if not index.is_primary_key:
        return table
    columns = {
        name: replace(column, nullable=column.nullable and name not in index.columns)
        for name, column in table.columns.items()
    }
    return replace(table, columns=columns)


def _create_check(
    table: TableState, op: ops.CreateCheckConstraintOp, dialect: Dialect
) -> TableState:
    constraint = op.to_constraint()
    assert isinstance(constraint, CheckConstraint)
    check = check_state(constraint, dialect)
    return replace(table, checks={**table.checks, **dict([check] if check else [])})


def _drop(table: TableState, op: Any, dialect: Dialect) -> TableState:
    """Remove the index or constraint with the name."""
    name = dropped_name(op, dialect)
    return replace(
        table,
        indexes={key: item for key, item in table.indexes.items() if key != name},
        checks={key: item for key, item in table.checks.items() if key != name},
    )


def dropped_name(
    op: ops.DropIndexOp | ops.DropConstraintOp, dialect: Dialect
) -> str | None:
    """Return the database name of what an operation drops."""
    name = op.index_name if isinstance(op, ops.DropIndexOp) else op.constraint_name
    return final_name(name, dialect)


def _change_enum(table: TableState, op: ChangeEnumOp, dialect: Dialect) -> TableState:
    columns = {
        name: replace(column, type_=_with_labels(column.type_, op, dialect))
        for name, column in table.columns.items()
    }
    return replace(table, columns=columns)


def _with_labels(
    type_: TypeEngine[Any], op: ChangeEnumOp, dialect: Dialect
) -> TypeEngine[Any]:
    for enum in enums_of(type_, dialect):
        if enum_type(enum, dialect) == op.new:
            new = ENUM(*op.new.labels, name=op.new.name, schema=op.new.schema)
            return ARRAY(new) if plain_type(type_, dialect) is not enum else new
    return type_


_CHANGES: dict[type[Any], Callable[[TableState, Any, Dialect], TableState]] = {
    ops.AddColumnOp: _add_column,
    ops.DropColumnOp: _drop_column,
    ops.AlterColumnOp: _alter_column,
    ops.CreateIndexOp: _create_index,
    ops.DropIndexOp: _drop,
    ops.CreateUniqueConstraintOp: _create_constraint,
    ops.CreatePrimaryKeyOp: _create_constraint,
    ops.CreateCheckConstraintOp: _create_check,
    ops.DropConstraintOp: _drop,
}
