"""Queries on a connection of the app's pool, which may be dead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError

from .errors import connection_lost, driver_errors, error_number

Answer = TypeVar("Answer")

_TRIES = 5

_CREATED_MEANWHILE = 1412
"""ER_TABLE_DEF_CHANGED of MySQL: a table is newer than the snapshot that is read."""


def ask(
    engine: Engine,
    doing: str,
    question: Callable[[Connection], Answer],
    *,
    apart: bool = False,
) -> Answer:
    """Return the answer to a query that only reads. apart: it is one statement.

    It is repeated if the connection turns out to be dead: a server, or something on the
    way, ends idle connections, as all are while MongoDB works. The pool has then
    discarded the others. It is also repeated, in a new transaction, if another run
    creates its tables at the same time on MySQL.
    """
    with driver_errors(doing):
        for _ in range(_TRIES - 1):
            try:
                with engine.connect() as connection:
                    return question(_apart(connection) if apart else connection)
            except DBAPIError as error:
                if not _passes(error):
                    raise
        with engine.connect() as connection:
            return question(_apart(connection) if apart else connection)


def _apart(connection: Connection) -> Connection:
    """Return a connection that begins no transaction: one statement needs none.

    An app that sets a transaction up for itself, say a search_path, gets one.
    """
    if connection.engine.dispatch.begin:
        connection.begin()
        return connection
    try:
        return connection.execution_options(isolation_level="AUTOCOMMIT")
    except (ArgumentError, NotImplementedError):
        return connection


def _passes(error: DBAPIError) -> bool:
    return connection_lost(error) or error_number(error) == _CREATED_MEANWHILE
