"""Alembic's operations as changes, in the order of the script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from alembic.ddl.postgresql import CreateExcludeConstraintOp
from alembic.operations import ops
from sqlalchemy import (
    CheckConstraint,
    Column,
    Computed,
    Identity,
    PrimaryKeyConstraint,
)
from sqlalchemy.sql import dml
from sqlalchemy.sql.elements import ClauseElement, ColumnClause, TextClause, conv
from sqlalchemy.types import Enum

from ..sql.literals import sql_with_values
from ..sql.tokens import literal
from .change import Change
from .column_types import DIALECT, sql_type
from .dispatch import by_class
from .narrowing import labels_fit
from .recorder import Call
from .sql_changes import changes_of_sql

_Reader = Callable[[Any], Iterable[Change]]


def changes_of(calls: Sequence[Call]) -> tuple[Change, ...]:
    """Return what a recorded script does, statement by statement."""
    found: list[Change] = []
    transaction, was_in_one = 0, True
    for call in calls:
        transaction += was_in_one and not call.in_transaction
        was_in_one = call.in_transaction
        number = transaction if call.in_transaction else None
        for part in call.parts:
            read = by_class(_READERS, part)
            if read is not None:
                found += [
                    replace(change, line=call.line, transaction=number)
                    for change in read(part)
                ]
    return tuple(found)


def _full(name: Any, schema: Any) -> str:
    return f"{schema}.{name}" if schema and schema != "public" else str(name)


def sql_of(element: Any) -> str:
    """Return the SQL of an expression, with its values written out."""
    if isinstance(element, str):
        return str(element)
    if isinstance(element, TextClause):
        return element.text
    if isinstance(element, ColumnClause):
        return str(element.name)
    if not isinstance(element, ClauseElement):
        return str(element)
    try:
        return sql_with_values(element, DIALECT)
    except Exception:  # A value that has no literal: its placeholder will do.
        return str(element.compile(dialect=DIALECT))


def _column(column: Any) -> dict[str, Any]:
    default = column.server_default
    argument = getattr(default, "arg", None)
    stored = isinstance(column.computed, Computed) and (
        column.computed.persisted is not False
    )
    return {
        "column": str(column.name),
        "type_": sql_type(column.type),
        "nullable": bool(column.nullable) and not column.primary_key,
        "default": _default(argument),
        "primary_key": bool(column.primary_key),
        "generated": isinstance(column.identity, Identity) or stored,
    }


def _default(argument: Any) -> str | None:
    """Return the SQL of a server default; a plain string is a value."""
    if isinstance(argument, str):
        return literal(argument)
    return None if argument is None else sql_of(argument)


def _change(op: Any, verb: str, **facts: Any) -> Change:
    """Return a change with what Alembic's operations have in common."""
    given = {**getattr(op, "kw", {}), **vars(op)}
    table, name = given.get("table_name"), given.get("constraint_name")
    common = {
        "table": _full(table, given.get("schema")) if table else None,
        "name": _text(given.get("index_name", name)),
        "concurrently": bool(given.get("postgresql_concurrently")),
        "not_valid": bool(given.get("postgresql_not_valid")),
        "repeatable": bool(given.get("if_exists") or given.get("if_not_exists")),
    }
    return Change(verb=verb, **{**common, **facts})


def _only(verb: str) -> _Reader:
    """Make a reader for an operation that is one change, with nothing of its own."""
    return lambda op: [_change(op, verb)]


def _create_table(op: ops.CreateTableOp) -> Iterator[Change]:
    yield _change(op, "create_table")
    items: list[Any] = list(op.columns)
    key = {str(c.name) for c in items if getattr(c, "primary_key", False) is True}
    for item in items:
        if isinstance(item, PrimaryKeyConstraint):
            key |= {str(name) for name in _key_of(item)}
    for item in items:
        table = _full(op.table_name, op.schema)
        if isinstance(item, Column):
            facts = _column(item)
            facts["primary_key"] = facts["column"] in key
            counts = len(key) == 1 and item.autoincrement and not item.foreign_keys
            facts["name"] = "auto" if counts else None
            yield Change(verb="column", table=table, **facts)
        elif getattr(item, "name", None):
            yield Change(verb="constraint", table=table, name=_text(item.name))


def _key_of(constraint: Any) -> list[Any]:
    pending = getattr(constraint, "_pending_colargs", None) or []
    names = [getattr(item, "name", item) for item in pending]
    return names or [column.name for column in constraint.columns]


def _add_column(op: ops.AddColumnOp) -> Iterator[Change]:
    yield _change(op, "add_column", **_column(op.column))
    for item in op.column.constraints:
        if isinstance(item, CheckConstraint):
            name, check = _text(item.name), sql_of(item.sqltext)
            yield _change(op, "add_check", name=name, check=check, repeatable=False)


def _text(value: Any) -> str | None:
    """Return a name as PostgreSQL receives it: SQLAlchemy shortens op.f() names."""
    if isinstance(value, conv):
        preparer = DIALECT.identifier_preparer
        quoted = preparer.truncate_and_render_constraint_name(value)
        return str(preparer.unformat_identifiers(quoted)[-1])
    return str(value) if isinstance(value, str) else None


def _alter_column(op: ops.AlterColumnOp) -> Iterator[Change]:
    column = str(op.column_name)
    # Alembic's own order: the default and the type first, the name last.
    if op.modify_nullable is False:
        yield _change(op, "set_not_null", column=column)
    if op.modify_server_default is not False or op.modify_nullable:
        yield _change(op, "alter_column", column=column)
    if op.modify_type is not None:
        using = op.kw.get("postgresql_using")
        yield _change(
            op,
            "alter_type",
            column=column,
            type_=sql_type(op.modify_type),
            old_type=sql_type(op.existing_type) if op.existing_type else None,
            type_code=_type_code(op.modify_type),
            using=None if using is None else sql_of(using),
            labels_lost=_lost(op.existing_type, op.modify_type),
            fits=labels_fit(op.existing_type, op.modify_type),
        )
    if op.modify_name is not None and str(op.modify_name) != column:
        yield _change(op, "rename_column", column=column, name=str(op.modify_name))


def _lost(old: Any, new: Any) -> tuple[str, ...]:
    if not isinstance(old, Enum) or not isinstance(new, Enum):
        return ()
    return tuple(label for label in old.enums if label not in new.enums)


def _type_code(type_: Any) -> str | None:
    """Return a type as a script writes it, if it is one of SQLAlchemy's own."""
    module = type(type_).__module__
    if isinstance(type_, type) or not module.startswith("sqlalchemy.sql"):
        return None
    return f"sa.{type_!r}"


def _create_index(op: ops.CreateIndexOp) -> Iterator[Change]:
    where = op.kw.get("postgresql_where")
    yield _change(
        op,
        "create_index",
        columns=tuple(_key(column) for column in op.columns),
        unique=bool(op.unique),
        where=None if where is None else sql_of(where),
        options=tuple(
            (key, repr(value))
            for key, value in op.kw.items()
            if key not in ("postgresql_where", "postgresql_concurrently")
            and isinstance(value, str | int | bool | list | tuple | dict)
        ),
    )


def _key(column: Any) -> str:
    """Return one part of an index; an expression has parentheses or a space in it."""
    if isinstance(column, ColumnClause) and getattr(column, "is_literal", False):
        return str(column.name)
    return sql_of(column)


def _foreign_key(op: ops.CreateForeignKeyOp) -> Iterator[Change]:
    yield _change(
        op,
        "add_foreign_key",
        table=_full(op.source_table, op.kw.get("source_schema")),
        columns=tuple(map(str, op.local_cols)),
        referred=_full(op.referent_table, op.kw.get("referent_schema")),
        referred_columns=tuple(map(str, op.remote_cols)),
        options=tuple(
            (key, repr(value))
            for key, value in op.kw.items()
            if value is not None and key != "postgresql_not_valid"
        ),
    )


def _check(op: ops.CreateCheckConstraintOp) -> Iterator[Change]:
    yield _change(op, "add_check", check=sql_of(op.condition))


def _unique(verb: str) -> _Reader:
    def read(op: Any) -> Iterator[Change]:
        columns = tuple(str(getattr(item, "name", item)) for item in op.columns)
        yield _change(op, verb, columns=columns)

    return read


def _execute(op: ops.ExecuteSQLOp) -> Iterator[Change]:
    element: Any = op.sqltext
    verb = by_class(_WRITES, element)
    if verb is None:
        yield from changes_of_sql(sql_of(element))
        return
    if verb == "insert" and getattr(element, "select", None) is not None:
        verb = "insert_select"
    table = getattr(element, "table", None)
    name, schema = getattr(table, "name", "?"), getattr(table, "schema", None)
    yield Change(verb=verb, table=_full(name, schema))


_WRITES = {dml.Update: "update", dml.Delete: "delete", dml.Insert: "insert"}


def _drop_column(op: ops.DropColumnOp) -> Iterator[Change]:
    yield _change(op, "drop_column", column=str(op.column_name))


def _rename_table(op: ops.RenameTableOp) -> Iterator[Change]:
    yield _change(op, "rename_table", name=_full(op.new_table_name, op.schema))


def _bulk_insert(op: ops.BulkInsertOp) -> Iterator[Change]:
    table = _full(op.table.name, getattr(op.table, "schema", None))
    yield Change(verb="insert", table=table)


_READERS: dict[type[Any], _Reader] = {
    ops.CreateTableOp: _create_table,
    ops.DropTableOp: _only("drop_table"),
    ops.RenameTableOp: _rename_table,
    ops.CreateTableCommentOp: _only("alter_table"),
    ops.DropTableCommentOp: _only("alter_table"),
    ops.AddColumnOp: _add_column,
    ops.DropColumnOp: _drop_column,
    ops.AlterColumnOp: _alter_column,
    ops.CreateIndexOp: _create_index,
    ops.DropIndexOp: _only("drop_index"),
    ops.CreateForeignKeyOp: _foreign_key,
    ops.CreateCheckConstraintOp: _check,
    ops.CreateUniqueConstraintOp: _unique("add_unique"),
    ops.CreatePrimaryKeyOp: _unique("add_primary_key"),
    CreateExcludeConstraintOp: _only("add_exclude"),
    ops.DropConstraintOp: _only("drop_constraint"),
    ops.ExecuteSQLOp: _execute,
    ops.BulkInsertOp: _bulk_insert,
}
