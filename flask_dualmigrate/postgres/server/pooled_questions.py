"""Queries on a connection of the app's pool, which may be dead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from .errors import connection_lost, driver_errors

Answer = TypeVar("Answer")


def ask(engine: Engine, doing: str, question: Callable[[Connection], Answer]) -> Answer:
    """Return the answer to a query that only reads.

    It is repeated once if the connection turns out to be dead: a server, or something
    on the way, ends idle connections, as all are while MongoDB works. The pool has then
    discarded the others.
    """
    with driver_errors(doing):
        try:
            with engine.connect() as connection:
                return question(connection)
        except DBAPIError as error:
            if not connection_lost(error):
                raise
        with engine.connect() as connection:
            return question(connection)
