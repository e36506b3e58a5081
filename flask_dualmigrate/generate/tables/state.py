"""The tables before and after a script, as far as MongoDB has a counterpart.

Only values; `schema_of` reads them from SQLAlchemy's tables, `evolve` changes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, Table, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import Constraint
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import ClauseElement, UnaryExpression
from sqlalchemy.types import TypeEngine

from ...sql import expressions
from ...sql import tokens as sql_tokens
from . import postgres_names


@dataclass(frozen=True)
class ColumnState:
    """A column; server_default: as in SQLAlchemy, or None."""

    name: str
    type_: TypeEngine[Any]
    nullable: bool
    server_default: Any = None


@dataclass(frozen=True)
class Key:
    """One part of an index: a column, or an SQL expression."""

    column: str | None = None
    expression: str | None = None
    descending: bool = False
    opclass: str | None = None


@dataclass(frozen=True)
class IndexState:
    """An index, or the one behind a unique or primary key constraint.

    method: btree, hash, gin, …; where: the predicate of a partial index; ignored:
    options with no meaning in MongoDB.
    """

    name: str
    keys: tuple[Key, ...]
    unique: bool = False
    where: str | None = None
    method: str = "btree"
    nulls_not_distinct: bool = False
    ignored: tuple[str, ...] = ()
    is_primary_key: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(key.column for key in self.keys if key.column is not None)


@dataclass(frozen=True)
class TableState:
    """A table; name: schema-qualified if it has its own schema."""

    name: str
    columns: Mapping[str, ColumnState] = field(default_factory=dict)
    indexes: Mapping[str, IndexState] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)

    @property
    def primary_key(self) -> tuple[str, ...]:
        for index in self.indexes.values():
            if index.is_primary_key:
                return index.columns
        return ()


Schema = Mapping[str, TableState]


def full_name(name: str, schema: str | None, dialect: Dialect) -> str:
    """Return a table's name as in collections=, without the default schema."""
    if schema is None or schema == dialect.default_schema_name:
        return str(name)
    return f"{schema}.{name}"


def schema_of(tables: Iterable[Table], dialect: Dialect) -> dict[str, TableState]:
    """Return the state of some tables."""
    states = [table_state(table, dialect) for table in tables]
    return {state.name: state for state in states}


def table_state(table: Table, dialect: Dialect) -> TableState:
    """Return the state of a table that is reflected, or from the models or a script."""
    indexes = [
        constraint_index(constraint, table, dialect)
        for constraint in (table.primary_key, *table.constraints)
        if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key
    ]
    indexes += [index_state(index, dialect) for index in table.indexes]
    checks = [
        check_state(constraint, dialect)
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    ]
    return TableState(
        full_name(table.name, table.schema, dialect),
        {column.name: column_state(column) for column in table.columns},
        {item.name: item for item in sorted(indexes, key=_order) if item.keys},
        dict(sorted(check for check in checks if check is not None)),
    )


def _order(index: IndexState) -> tuple[bool, str]:
    return (not index.is_primary_key, index.name)


def column_state(column: Column[Any]) -> ColumnState:
    return ColumnState(
        column.name,
        column.type,
        bool(column.nullable) and not column.primary_key,
        column.server_default,
    )


def final_name(name: Any, dialect: Dialect) -> str | None:
    """Return a constraint's or index's name in the database; None if it has none.

    A name from a naming convention is cut if too long, as in SQLAlchemy.
    """
    if not isinstance(name, str):
        return None
    preparer = dialect.identifier_preparer
    quoted = preparer.truncate_and_render_constraint_name(name)
    return str(preparer.unformat_identifiers(quoted)[-1])


def constraint_index(
    constraint: Constraint, table: Table, dialect: Dialect
) -> IndexState:
    """Return the index behind a unique or primary key constraint."""
    columns = [str(column.name) for column in constraint.columns]  # type: ignore[attr-defined]
    is_primary_key = constraint is table.primary_key
    if is_primary_key:
        default_name = postgres_names.primary_key_name(table.name)
    else:
        default_name = postgres_names.unique_name(table.name, columns)
    options = constraint.dialect_kwargs
    return IndexState(
        final_name(constraint.name, dialect) or default_name,
        tuple(Key(column) for column in columns),
        unique=True,
        nulls_not_distinct=bool(options.get("postgresql_nulls_not_distinct")),
        is_primary_key=is_primary_key,
    )


def check_state(
    constraint: CheckConstraint, dialect: Dialect
) -> tuple[str, str] | None:
    """Return a check's name and SQL; None for one that a type creates."""
    if getattr(constraint, "_type_bound", False):
        return None
    text = sql_of(constraint.sqltext, dialect)
    return (final_name(constraint.name, dialect) or text, text)


def index_state(index: Index, dialect: Dialect) -> IndexState:
    options = {
        key.partition("_")[2]: value
        for key, value in index.dialect_kwargs.items()
        if key.startswith(f"{dialect.name}_") and is_given(value)
    }
    opclasses = options.pop("ops", {})
    where = options.pop("where", None)
    method = str(options.pop("using", "") or "btree").lower()
    return IndexState(
        final_name(index.name, dialect) or "",
        tuple(_key(item, dialect, opclasses) for item in index.expressions),
        unique=bool(index.unique),
        where=None if where is None else sql_of(where, dialect),
        method=method,
        nulls_not_distinct=bool(options.pop("nulls_not_distinct", False)),
        ignored=tuple(sorted(set(options) - {"concurrently"})),
    )


def is_given(value: Any) -> bool:
    """Return whether an option has a value, without comparing SQL clauses."""
    return isinstance(value, ClauseElement) or value not in (None, False, {}, [], ())


def sql_of(element: Any, dialect: Dialect) -> str:
    """Return an expression's SQL as in DDL, without table names or parameters."""
    if isinstance(element, str):
        return element
    compiler = dialect.ddl_compiler(dialect, None).sql_compiler  # type: ignore[arg-type]
    text = compiler.process(element, include_table=False, literal_binds=True)
    return str(text)


def _key(element: Any, dialect: Dialect, opclasses: Mapping[str, str]) -> Key:
    descending = False
    while isinstance(element, UnaryExpression) and element.modifier is not None:
        descending = descending or element.modifier is operators.desc_op
        element = element.element
    if isinstance(element, Column):
        opclass = opclasses.get(element.key) or opclasses.get(element.name)
        return Key(str(element.name), descending=descending, opclass=opclass)
    label = str(getattr(element, "name", ""))
    if isinstance(element, ClauseElement) and label in opclasses:
        element = getattr(element, "element", element)
    key = _key_of_text(sql_of(element, dialect), descending)
    return replace(key, opclass=opclasses.get(label, key.opclass))


_SUFFIX = re.compile(
    r"(?:\s+(?P<opclass>\w+_ops))?(?:\s+(?P<way>asc|desc))?(?:\s+nulls\s+\w+)?\s*$",
    re.IGNORECASE,
)


def _key_of_text(text: str, descending: bool) -> Key:
    """Parse `lower(name) DESC NULLS LAST`, `"Name" gin_trgm_ops` and the like."""
    match = _SUFFIX.search(text)
    suffix = match.groupdict() if match else {}
    body = text[: match.start()] if match else text
    descending = descending or (suffix.get("way") or "").lower() == "desc"
    try:
        expression = expressions.parse(body)
    except sql_tokens.UnknownSql:
        return Key(None, body.strip(), descending, suffix.get("opclass"))
    if isinstance(expression, expressions.Name):
        return Key(expression.name, None, descending, suffix.get("opclass"))
    return Key(None, body.strip(), descending, suffix.get("opclass"))
