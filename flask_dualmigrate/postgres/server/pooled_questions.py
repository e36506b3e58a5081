"""Questions on a connection of the app's pool, which may have died there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from .errors import connection_lost, driver_errors

Answer = TypeVar("Answer")


def ask(engine: Engine, doing: str, question: Callable[[Connection], Answer]) -> Answer:
    """Return the answer to a question that only reads.

    It is put once more where the connection turns out to be dead: a server, or what
    lies on the way, ends those that are idle, as all are while MongoDB works. The pool
    has let go of the others then.
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
