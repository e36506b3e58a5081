"""What SQLAlchemy does not provide: many statements at once, and COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ...errors import DatabaseUnavailable


def execute(connection: Connection, sql: bytes | str) -> None:
    """Run a text of several statements in the transaction of a connection.

    Bytes are in the client's encoding, text is converted to it. Percent signs are
    literal: parameters are not replaced.
    """
    with _wrapped(connection, sql) as raw, raw.cursor() as cursor:
        name = getattr(getattr(raw, "info", None), "encoding", "utf-8")
        codec = "utf-8" if name == "ascii" else name
        if isinstance(sql, str):
            sql = sql.encode(codec, "surrogateescape")
        cursor.execute(sql)


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
