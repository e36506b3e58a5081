"""The session of one script: a connection that never goes back to the app's pool.

What a script sets for its session (search_path, session_replication_role, a role, any
other setting), its temporary tables, LISTENs and advisory locks end with it. The next
revision begins with what the app's engine gives a new connection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, Engine

from ...sql.tokens import literal

SETTINGS = ("session_authorization", "role", "search_path")
"""The settings that decide which tables our own statements refer to."""

_CHECK = "SET CONSTRAINTS ALL IMMEDIATE"


@contextmanager
def own_connection(engine: Engine, *, closed: bool) -> Iterator[Connection]:
    """Yield a connection that is closed at the end, unless `closed` says otherwise.

    It is created by the app's engine, with its events and credentials.
    """
    with engine.connect() as connection:
        try:
            yield connection
        finally:
            # At the end: a detached connection accepts no isolation level.
            usable = not (connection.closed or connection.invalidated)
            if usable and closed:
                connection.detach()


def connect_apart(engine: Engine, stack: ExitStack) -> Connection:
    """Return a connection outside of the app's pool, in autocommit mode.

    It is created by the app's engine, with its events and credentials, and is really
    closed with the stack: the pool gets neither a lock nor the settings back.
    """
    plain = stack.enter_context(engine.connect())
    # In this order: a detached connection accepts no options.
    connection = plain.execution_options(isolation_level="AUTOCOMMIT")
    connection.detach()
    return connection


@dataclasses.dataclass(frozen=True)
class Standing:
    """A session's role and search path, before a script changes them."""

    values: tuple[str, ...]

    def again(self) -> tuple[str, str]:
        """Return what checks what a script deferred, and restores role and path."""
        set_config = ", ".join(
            f"pg_catalog.set_config('{name}', {literal(value)}, true)"
            for name, value in zip(SETTINGS, self.values, strict=True)
        )
        return _CHECK, f"SELECT {set_config}"
