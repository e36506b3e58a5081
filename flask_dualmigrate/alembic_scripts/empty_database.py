"""An empty PostgreSQL database that SQLAlchemy can talk to without a server.

While it is recorded, an Alembic script may query its bind in any way: text, Core, a
Session or an inspector. Every query returns no rows. The queries are kept.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.pool import StaticPool

_QUERIES = ("select", "with", "show", "values", "explain", "table")
# The query of `Enum.create(bind, checkfirst=True)`: nothing in MongoDB depends on it.
_HAS_TYPE = "SELECT pg_catalog.pg_type.typname "
_TRANSACTIONS = ("begin", "savepoint", "release", "rollback", "commit")


class EmptyDatabase:
    """Answers every query with no rows.

    on_write: called with each statement that would change it; reads: the queries.
    """

    def __init__(self, on_write: Callable[[str], None]) -> None:
        self.reads: list[str] = []
        self._on_write = on_write

    def connect(self) -> Connection:
        """Return a connection to it."""
        pool = StaticPool(lambda: _Connection(self))  # type: ignore[arg-type]
        dialect: Any = _Dialect
        engine = Engine(pool, dialect(dbapi=_DRIVER), make_url("postgresql://"))
        event.listen(engine, "before_cursor_execute", _name_columns)
        return engine.connect()

    def asked(self, statement: str) -> bool:
        """Record a statement; return True if it is a query."""
        word = statement.lstrip("( \n\t").partition(" ")[0].lower()
        if word in _QUERIES:
            query = " ".join(statement.split())
            if not query.startswith(_HAS_TYPE):
                self.reads.append(query)
        elif word not in _TRANSACTIONS:
            self._on_write(statement.strip())
        return word in _QUERIES


class _Dialect(PGDialect):
    """PostgreSQL without a driver, and without SQLAlchemy's queries on connect."""

    driver = "nothing"
    supports_statement_cache = True
    default_paramstyle = "named"
    default_schema_name = "public"
    server_version_info = (18,)


class _Connection:
    """A DBAPI connection that returns nothing."""

    def __init__(self, database: EmptyDatabase) -> None:
        self._database = database

    def cursor(self, *_: Any, **__: Any) -> _Cursor:
        return _Cursor(self._database)

    def commit(self) -> None:
        """Do nothing: there is nothing to commit."""

    rollback = close = commit


class _Cursor:
    arraysize = 1
    rowcount = 0

    def __init__(self, database: EmptyDatabase) -> None:
        self._database = database
        self.description: Sequence[tuple[Any, ...]] | None = None
        self.names: Sequence[str] = ("?column?",)

    def execute(self, statement: str, _: Any = None) -> None:
        is_query = self._database.asked(statement) or " returning " in statement.lower()
        columns = [(name, *[None] * 6) for name in self.names]
        self.description = columns if is_query else None

    executemany = execute

    def fetchone(self) -> None:
        return None

    def fetchall(self) -> list[Any]:
        return []

    def fetchmany(self, _: int | None = None) -> list[Any]:
        return []

    def close(self) -> None:
        """Do nothing: nothing is open."""


def _name_columns(
    connection: Any,
    cursor: _Cursor,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> None:
    """Tell the cursor which columns a Core statement expects."""
    columns = getattr(getattr(context, "compiled", None), "_result_columns", None)
    if columns:
        cursor.names = [column.keyname for column in columns]


class _Error(Exception):
    """The error class that a driver has; nothing here raises it."""


_DRIVER: Any = types.SimpleNamespace(
    paramstyle="named", Error=_Error, DatabaseError=_Error, Binary=bytes
)
