"""Rows with edge values for the existing tables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Engine, ForeignKeyConstraint, Table
from sqlalchemy.exc import SAWarning, SQLAlchemyError, StatementError

from ...sql.tokens import values
from ..snapshots.postgres import is_ours
from .edges import edges, plain

_PLAIN_ROWS = 3
_TRIES = 50
"""Plain rows to try until one satisfies the constraints."""

Row = dict[str, Any]


class PostgresSeeds:
    """Inserts rows into tables; again if a table's columns have changed.

    notes: tables that no row could be inserted into, and why.
    """

    def __init__(self, engine: Engine, *, version_table: str) -> None:
        self.notes: dict[str, str] = {}
        self._engine = engine
        self._version_table = version_table
        self._seeded: dict[str, str] = {}
        self._number = 0

    def sow(self, *, at_the_edges: bool) -> None:
        """Insert rows into all tables, parents first.

        at_the_edges: also insert edge values, not only ordinary ones.
        """
        with self._engine.begin() as connection:
            for table in _reflected(connection):
                if is_ours(table.fullname, self._version_table):
                    continue
                columns = repr(
                    [(c.name, repr(c.type), c.nullable) for c in table.columns]
                )
                if self._seeded.get(table.fullname) != columns:
                    self._seeded[table.fullname] = columns
                    self._sow(connection, table, at_the_edges)

    def forget(self) -> None:
        """Treat all tables as new."""
        self._seeded.clear()

    def clear(self) -> None:
        """Empty all tables."""
        with self._engine.begin() as connection:
            quote = connection.dialect.identifier_preparer.format_table
            names = [
                quote(table)
                for table in _reflected(connection)
                if not is_ours(table.fullname, self._version_table)
            ]
            if names:
                connection.execute(sa.text(f"TRUNCATE {', '.join(names)} CASCADE"))

    def _sow(self, connection: Connection, table: Table, at_the_edges: bool) -> None:
        """Insert a row of plain values, then one for each edge value of each column.

        If a constraint rejects a value, only its own row is lost.
        """
        try:
            maker = _Maker(connection, table)
            self._first(connection, table, maker)
        except (LookupError, SQLAlchemyError) as error:
            reason = str(getattr(error, "orig", None) or error).strip()
            self.notes[table.fullname] = reason.splitlines()[0]
            return
        self.notes.pop(table.fullname, None)
        for _ in range(_PLAIN_ROWS - 1):
            self._put(connection, table, self._next(maker))
        if at_the_edges:
            for column, value in maker.edges():
                self._put(connection, table, {**self._next(maker), column: value})

    def _first(self, connection: Connection, table: Table, maker: _Maker) -> None:
        error: SQLAlchemyError | None = None
        for _ in range(_TRIES):
            error = self._put(connection, table, self._next(maker))
            if error is None:
                return
        assert error is not None
        raise error

    def _next(self, maker: _Maker) -> Row:
        self._number += 1
        return maker.plain(self._number)

    def _put(
        self, connection: Connection, table: Table, row: Row
    ) -> SQLAlchemyError | None:
        try:
            with connection.begin_nested():
                connection.execute(sa.insert(table).values(row))
        except StatementError as error:
            return error
        return None


class _Maker:
    """Makes rows for one table, with foreign keys that point to existing rows.

    Raises LookupError for a column that needs a value when none is known.
    """

    def __init__(self, connection: Connection, table: Table) -> None:
        keys = sorted(table.foreign_key_constraints, key=lambda key: str(key.name))
        self._parents = [(key, _parents(connection, key)) for key in keys]
        taken = {column.name for key in keys for column in key.columns}
        for key, parents in self._parents:
            must = [c.name for c in key.columns if not c.nullable]
            if must and not parents:
                target = key.referred_table.fullname
                raise LookupError(f"{must[0]} points to {target}, which has no row")
        self._free = [c for c in table.columns if c.name not in taken and _is_given(c)]
        self._nullable = [
            c.name for c in table.columns if c.nullable and c.computed is None
        ]
        self._words = _words_of_checks(connection, table)
        for column in self._free:
            if not column.nullable and column.server_default is None:
                self._value(column, 0)

    def plain(self, number: int) -> Row:
        row: Row = {}
        for column in self._free:
            try:
                row[column.name] = self._value(column, number)
            except LookupError:
                continue  # the type is not known here: NULL, or the column's default
        left = number
        for key, parents in self._parents:
            if parents:
                left, at = divmod(left, len(parents))
                row.update(zip((c.name for c in key.columns), parents[at], strict=True))
        return row

    def edges(self) -> Iterator[tuple[str, Any]]:
        """Yield columns, each with one edge value."""
        for name in self._nullable:
            yield name, sa.null()
        for column in self._free:
            for value in edges(column.type):
                yield column.name, value

    def _value(self, column: Column[Any], number: int) -> Any:
        words = self._words.get(column.name)
        return words[number % len(words)] if words else plain(column.type, number)


def _is_given(column: Column[Any]) -> bool:
    """Return whether a row needs a value here; the database generates the others."""
    default = str(getattr(column.server_default, "arg", ""))
    made = column.identity is not None or "nextval(" in default
    return column.computed is None and not made


def _parents(connection: Connection, key: ForeignKeyConstraint) -> list[Sequence[Any]]:
    columns = [element.column for element in key.elements]
    query = sa.select(*columns).order_by(*columns).limit(20)
    return [tuple(row) for row in connection.execute(query)]


def _words_of_checks(connection: Connection, table: Table) -> Mapping[str, list[str]]:
    """Return the words that checks allow: `status IN ('new', 'used')`."""
    found: dict[str, list[str]] = {}
    checks = sa.inspect(connection).get_check_constraints(table.name, table.schema)
    for check in checks:
        words = [word for word in values(check["sqltext"]) if word]
        for column in table.columns:
            mentioned = re.search(rf"\b{re.escape(column.name)}\b", check["sqltext"])
            if words and mentioned and isinstance(column.type, sa.String):
                found.setdefault(column.name, []).extend(words)
    return found


def _reflected(connection: Connection) -> list[Table]:
    """Return the tables of all schemas, parents first as far as possible."""
    metadata = sa.MetaData()
    inspector = sa.inspect(connection)
    with warnings.catch_warnings():
        # Warnings about unknown types and about cycles: neither is an error here.
        warnings.simplefilter("ignore", SAWarning)
        for schema in inspector.get_schema_names():
            if schema != "information_schema":
                own = None if schema == inspector.default_schema_name else schema
                metadata.reflect(connection, schema=own)
        return list(metadata.sorted_tables)
