"""The steps to add or change a column in a table that has rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alembic.operations import ops
from sqlalchemy import Column, ColumnDefault, Index, Integer, text
from sqlalchemy.schema import DefaultClause

from ..tables.casts import NoCast, both_text, same_kind, using
from ..tables.evolve import index_mentions
from ..tables.state import final_name, index_state, sql_of
from ..tables.types import plain_type
from .steps import Call, Note, Scope, execute

ColumnOp = ops.AddColumnOp | ops.AlterColumnOp


def add_column(op: ops.AddColumnOp, scope: Scope) -> Iterator[Call | Note]:
    """Add a column; if it is NOT NULL, fill it from the model's own default."""
    column = op.column
    if column.nullable or column.server_default is not None or column.primary_key:
        yield Call(op)
        return
    value = constant_sql(op, column, scope)
    if value is None:
        yield Note(
            f"{op.table_name}.{column.name} has no default: PostgreSQL adds it to an "
            "empty table only."
        )
        yield Call(op)
        return
    filled: Column[Any] = Column(
        column.name,
        column.type,
        nullable=False,
        server_default=text(value),
        comment=column.comment,
    )
    yield Call(ops.AddColumnOp(op.table_name, filled, schema=op.schema))
    name = str(column.name)
    yield Call(
        ops.AlterColumnOp(
            op.table_name, name, schema=op.schema, modify_server_default=None
        )
    )


def alter_column(op: ops.AlterColumnOp, scope: Scope) -> Iterator[Call | Note]:
    """Change the type with USING, then the default, then NOT NULL."""
    # Only MySQL supports it, and Alembic warns when the script runs.
    op.kw.pop("autoincrement", None)
    expression = None
    if op.modify_type is not None and op.existing_type is not None:
        try:
            expression = using(
                op.column_name, op.existing_type, op.modify_type, scope.dialect
            )
        except NoCast as error:
            yield Note(f"PostgreSQL cannot cast {error}: pass postgresql_using=.")
    default = _default_after(op, scope)
    is_other = _changes_kind(op, scope) or _counter(op, scope) is not None
    if expression is not None or is_other:
        yield from _retype(op, default, expression, scope)
    elif op.modify_nullable is False or default is not op.modify_server_default:
        yield from _in_order(op, default, {}, scope)
    else:
        yield Call(op)


def _changes_kind(op: ops.AlterColumnOp, scope: Scope) -> bool:
    old, new = op.existing_type, op.modify_type
    if old is None or new is None:
        return False
    return not same_kind(old, new, scope.dialect)


def _default_after(op: ops.AlterColumnOp, scope: Scope) -> Any:
    """Return the default to set; False: leave it unchanged.

    Otherwise the old default would remain, as an expression of the old type.
    """
    default = op.modify_server_default
    existing = op.existing_server_default
    if default is not False or not isinstance(existing, DefaultClause):
        return default
    old, new = op.existing_type, op.modify_type
    if old is None or new is None or both_text(old, new, scope.dialect):
        return False
    column = scope.left.column(op.schema, op.table_name, op.column_name)
    return False if column is None else column.server_default


def _retype(
    op: ops.AlterColumnOp, default: Any, expression: str | None, scope: Scope
) -> Iterator[Call | Note]:
    """Change the type, first removing a default and indexes that are in the way.

    expression: for USING; None: PostgreSQL needs none.
    """
    if expression is not None and isinstance(op.existing_server_default, DefaultClause):
        # It would have to be cast too, and cannot.
        yield Call(_default_only(op, None))
        default = False if default is None else default
    counter = _counter(op, scope)
    if counter is not None and _is_integer(op.existing_type, scope):
        yield Call(_default_only(op, None))
    indexes = list(_indexes_in_the_way(op, scope))
    for index, _ in indexes:
        yield Call(ops.DropIndexOp.from_index(index))
    keywords = {} if expression is None else {"postgresql_using": expression}
    yield from _in_order(op, default, keywords, scope)
    if counter is not None and _is_integer(op.modify_type, scope):
        yield Call(_default_only(op, counter))
    for _, index in indexes:
        yield Call(ops.CreateIndexOp.from_index(index))


def _counter(op: ops.AlterColumnOp, scope: Scope) -> DefaultClause | None:
    """Return a SERIAL's default if its column stops or starts being an integer.

    Alembic does not see it: if left, it would go on counting in the new type.
    """
    column = scope.database.column(op.schema, op.table_name, op.column_name)
    default = None if column is None else column.server_default
    if op.modify_server_default is not False or not isinstance(default, DefaultClause):
        return None
    both = {_is_integer(type_, scope) for type_ in (op.existing_type, op.modify_type)}
    counts = sql_of(default.arg, scope.dialect).startswith("nextval(")
    return default if counts and len(both) == 2 else None


def _is_integer(type_: Any, scope: Scope) -> bool:
    return isinstance(plain_type(type_, scope.dialect), Integer)


def _indexes_in_the_way(
    op: ops.AlterColumnOp, scope: Scope
) -> Iterator[tuple[Index, Index]]:
    """Yield the indexes whose conditions or expressions use the old type.

    PostgreSQL cannot read them with the new type. Each is yielded as it is, and as it
    should be.
    """
    table = scope.found.table(op.schema, op.table_name)
    target = scope.left.table(op.schema, op.table_name)
    if table is None or target is None:
        return
    later = {final_name(index.name, scope.dialect): index for index in target.indexes}
    for index in sorted(table.indexes, key=lambda item: str(item.name)):
        state = index_state(index, scope.dialect)
        plain = state.where is None and len(state.columns) == len(state.keys)
        if plain or not index_mentions(state, op.column_name):
            continue
        if state.name not in scope.dropped and state.name in later:
            yield index, later[state.name]


def _in_order(
    op: ops.AlterColumnOp, default: Any, keywords: Mapping[str, str], scope: Scope
) -> Iterator[Call | Note]:
    not_null = op.modify_nullable is False
    if op.modify_type is not None or op.modify_comment is not False:
        nullable = None if not_null else op.modify_nullable
        yield Call(
            _alter(
                op,
                modify_type=op.modify_type,
                modify_comment=op.modify_comment,
                modify_nullable=nullable,
            ),
            keywords,
        )
    if default is not False:
        yield Call(_default_only(op, default))
    if not_null:
        yield _fill(op, default, scope)
        yield Call(_alter(op, modify_nullable=False))


def _fill(op: ops.AlterColumnOp, default: Any, scope: Scope) -> Call | Note:
    """Return a step that replaces nulls with a value, before NOT NULL is set."""
    column = scope.left.column(op.schema, op.table_name, op.column_name)
    if default is False and op.modify_type is None:
        default = op.existing_server_default
    value = None
    if default is not None and default is not False:
        value = "DEFAULT"
    elif column is not None:
        value = constant_sql(op, column, scope)
    if value is None:
        return Note(
            f"{op.table_name}.{op.column_name} has no default: PostgreSQL refuses NOT "
            "NULL while a row is null."
        )
    place = scope.quote(op.schema, op.table_name)
    name = scope.quote(op.column_name)
    return execute(f"UPDATE {place} SET {name} = {value} WHERE {name} IS NULL")


def constant_sql(op: ColumnOp, column: Column[Any], scope: Scope) -> str | None:
    """Return the SQL of a column's own `default=`, if it is a constant."""
    model = scope.left.column(op.schema, op.table_name, str(column.name))
    default = column.default if model is None else model.default
    if not isinstance(default, ColumnDefault) or not default.is_scalar:
        return None
    type_ = column.type.dialect_impl(scope.dialect)
    processor = type_.literal_processor(scope.dialect)
    return processor(default.arg) if processor is not None else None


def _default_only(op: ops.AlterColumnOp, default: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(
        op.table_name, op.column_name, schema=op.schema, modify_server_default=default
    )


def _alter(op: ops.AlterColumnOp, **changes: Any) -> ops.AlterColumnOp:
    """Return the operation with only these changes."""
    return ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=op.existing_type,
        existing_nullable=op.existing_nullable,
        existing_comment=op.existing_comment,
        **changes,
    )
