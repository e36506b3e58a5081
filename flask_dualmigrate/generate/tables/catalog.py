"""PostgreSQL's catalog: what it shows of all tables, each part read once, when needed.

One query for all tables costs little more than one for a single table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Inspector, Table, inspect
from sqlalchemy.engine import Connection

from .types import plain_dialect

Found = TypeVar("Found")
TableKey = tuple[str, str]
"""Schema and name."""

_COLUMNS = """
SELECT namespace.nspname, owner.relname, attname, attnotnull, atthasdef,
       attgenerated::text || pg_get_expr(adbin, adrelid)
FROM pg_class owner
JOIN pg_namespace namespace ON namespace.oid = owner.relnamespace
LEFT JOIN pg_attribute ON attrelid = owner.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON attgenerated <> '' AND adrelid = attrelid AND adnum = attnum
WHERE owner.relkind IN ('r', 'p')
AND namespace.nspname NOT IN ('pg_catalog', 'information_schema')
"""
_CONSTRAINTS = """
SELECT namespace.nspname, owner.relname, contype::text, conname,
       CASE WHEN contype IN ('c', 'u', 'x') THEN pg_get_constraintdef(entry.oid) END,
       pg_get_expr(conbin, conrelid),
       CASE WHEN contype IN ('p', 'f') THEN ARRAY(
           SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (at, place)
           JOIN pg_attribute ON attrelid = conrelid AND attnum = at ORDER BY place
       ) END,
       target.relname, confmatchtype::text = 'f', conindid
FROM pg_constraint entry
JOIN pg_class owner ON owner.oid = conrelid
JOIN pg_namespace namespace ON namespace.oid = owner.relnamespace
LEFT JOIN pg_class target ON target.oid = confrelid
WHERE contype IN ('c', 'f', 'p', 'u', 'x')
AND namespace.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY conname
"""


class ColumnRow(NamedTuple):
    """A column's own NOT NULL and default, without its domain's.

    generated: its kind, a letter as in pg_attribute.attgenerated, and its SQL.
    """

    not_null: bool
    has_default: bool
    generated: str | None


class ConstraintRow(NamedTuple):
    """A constraint. kind: as in pg_constraint.contype; target: the name of the table
    that a foreign key points to; index_oid: of the constraint's or that key's index."""

    kind: str
    name: str
    definition: str | None
    expression: str | None
    columns: Sequence[str] | None
    target: str | None
    is_full: bool
    index_oid: int


class Catalog:
    """The catalog during one comparison.

    inspector: Alembic's own, which has read all that it needs; another one until then.
    corrected: reflected columns that were changed for Alembic, each with its original.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect = plain_dialect(connection.dialect)
        self.corrected: list[tuple[Any, Any]] = []
        self._read: dict[Any, Any] = {}

    @cached_property
    def inspector(self) -> Inspector:
        return inspect(self.connection)

    def once(self, read: Callable[[Connection], Found]) -> Found:
        """Return what a function reads; it is called the first time only."""
        if read not in self._read:
            self._read[read] = read(self.connection)
        found: Found = self._read[read]
        return found

    def key(self, table: Table) -> TableKey:
        return (table.schema or str(self.dialect.default_schema_name), str(table.name))

    def has(self, table: Table) -> bool:
        return self.key(table) in self.once(columns)

    def columns(self, table: Table) -> Mapping[str, ColumnRow]:
        return self.once(columns).get(self.key(table), {})

    def constraints(self, table: Table, kind: str) -> list[ConstraintRow]:
        found = self.once(constraints).get(self.key(table), ())
        return [row for row in found if row.kind == kind]

    @cached_property
    def targets(self) -> frozenset[int]:
        """The indexes of the keys that foreign keys point to."""
        rows = (row for found in self.once(constraints).values() for row in found)
        return frozenset(row.index_oid for row in rows if row.kind == "f")


def columns(connection: Connection) -> dict[TableKey, dict[str, ColumnRow]]:
    """Return the columns of all tables, by name."""
    found: dict[TableKey, dict[str, ColumnRow]] = {}
    for schema, table, name, *row in connection.exec_driver_sql(_COLUMNS):
        there = found.setdefault((schema, table), {})
        if name is not None:
            there[name] = ColumnRow(*row)
    return found


def constraints(connection: Connection) -> dict[TableKey, list[ConstraintRow]]:
    """Return the constraints of all tables, but for NOT NULL."""
    found: dict[TableKey, list[ConstraintRow]] = {}
    for schema, table, *row in connection.exec_driver_sql(_CONSTRAINTS):
        found.setdefault((schema, table), []).append(ConstraintRow(*row))
    return found
