"""What SQLAlchemy does not provide: many statements in one round trip, and COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ...errors import DatabaseUnavailable

MANY_AT_ONCE = ("psycopg", "psycopg2")
"""Drivers that take several statements in one text."""


def execute(connection: Connection, sql: bytes | str) -> None:
    """Run a text of several statements in the transaction of a connection.

    Bytes are in the client's encoding, text is converted to it. Percent signs are
    literal: parameters are not replaced.
    """
    with _wrapped(connection, sql) as raw, raw.cursor() as cursor:
        cursor.execute(_encoded(raw, sql))


def execute_all(connection: Connection, statements: Sequence[str]) -> tuple[Any, ...]:
    """Run statements in the transaction of a connection; return the last one's row.

    They are one round trip where the driver can send them together. The row is empty
    if there is none.
    """
    *before, last = statements
    if connection.dialect.driver not in MANY_AT_ONCE:
        for statement in before:
            connection.exec_driver_sql(statement.replace("%", "%%"))
        result = connection.exec_driver_sql(last.replace("%", "%%"))
        return tuple(result.one()) if result.returns_rows else ()
    sql = "; ".join(statements)
    with _wrapped(connection, sql) as raw, raw.cursor() as cursor:
        cursor.execute(_encoded(raw, sql))
        if connection.dialect.driver == "psycopg":
            while cursor.nextset():  # psycopg2 keeps only the last one
                pass
        return tuple(cursor.fetchone() or ()) if cursor.description else ()


def begin_and_ask(connection: Connection, query: str) -> tuple[str | None, ...]:
    """Ask the first thing in a transaction; return the one row, of texts.

    connection: in a transaction of SQLAlchemy's in which nothing was sent. psycopg
    would send BEGIN by itself, and wait; here it is one round trip with the query.
    """
    raw: Any = connection.connection.driver_connection
    if connection.dialect.driver != "psycopg" or raw.autocommit or not _is_idle(raw):
        row = execute_all(connection, [query])
        return tuple(v.decode() if isinstance(v, bytes) else v for v in row)
    sql = f"{_begin_words(raw)}; {query}"
    with _wrapped(connection, sql):
        from psycopg import errors, pq

        result = raw.pgconn.exec_(_encoded(raw, sql))
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise errors.error_from_result(result, raw.info.encoding)
    values = (result.get_value(0, column) for column in range(result.nfields))
    return tuple(None if value is None else _decoded(raw, value) for value in values)


def _is_idle(raw: Any) -> bool:
    return bool(raw.info.transaction_status.name == "IDLE")


def _begin_words(raw: Any) -> str:
    """Return the BEGIN that psycopg would send, by the settings of its connection."""
    words = ["BEGIN"]
    if raw.isolation_level is not None:
        words += ["ISOLATION LEVEL", raw.isolation_level.name.replace("_", " ")]
    if raw.read_only is not None:
        words.append("READ ONLY" if raw.read_only else "READ WRITE")
    if raw.deferrable is not None:
        words.append("DEFERRABLE" if raw.deferrable else "NOT DEFERRABLE")
    return " ".join(words)


def _encoded(raw: Any, sql: bytes | str) -> bytes:
    if isinstance(sql, bytes):
        return sql
    return sql.encode(_codec(raw), "surrogateescape")


def _decoded(raw: Any, value: bytes) -> str:
    return value.decode(_codec(raw), "surrogateescape")


def _codec(raw: Any) -> str:
    name = getattr(getattr(raw, "info", None), "encoding", "utf-8")
    return "utf-8" if name == "ascii" else str(name)


def copy(connection: Connection, statement: bytes, chunks: Iterable[bytes]) -> int:
    """Run COPY … FROM stdin; return how many rows it loaded."""
    with _wrapped(connection, statement) as raw, raw.cursor() as cursor:
        with cursor.copy(statement.strip().rstrip(b";")) as taking:
            for chunk in chunks:
                taking.write(chunk)
        return int(cursor.rowcount)


def require_copy(connection: Connection) -> None:
    """Raise DatabaseUnavailable if the driver has no COPY that we know."""
    if connection.dialect.driver != "psycopg":
        raise DatabaseUnavailable(
            f"Rows cannot be restored with {connection.dialect.driver}",
            hint="Set DUALMIGRATE_POSTGRES_URI to a URL with postgresql+psycopg.",
        )


@contextmanager
def _wrapped(connection: Connection, sql: bytes | str) -> Iterator[Any]:
    """Yield the driver's connection; wrap its errors as SQLAlchemy would."""
    raw: Any = connection.connection.driver_connection
    dialect: Any = connection.dialect
    try:
        yield raw
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, raw, None)
        raise sa.exc.DBAPIError.instance(
            sql.decode(errors="replace") if isinstance(sql, bytes) else sql,
            None,
            error,
            dialect.loaded_dbapi.Error,
            connection_invalidated=lost,
            dialect=dialect,
        ) from error
