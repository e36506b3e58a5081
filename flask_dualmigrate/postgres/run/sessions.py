"""The sessions that scripts run in: a new one for each, or the last one if it is clean.

A new session costs the server more than a small script does. What a script leaves in
one would reach the next script, so a session is kept only after statements that can
leave nothing there: what a script does otherwise is not looked at, it gets a new one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, event

from ...sql.statements import Statement, statements
from ..server.errors import driver_errors

_ON = ("TABLE", "INDEX", "SEQUENCE", "TYPE", "VIEW")
_LEAVES_NOTHING = {"COMMENT", "DELETE", "INSERT", "UPDATE"} | {
    f"{verb} {on}" for verb in ("CREATE", "ALTER", "DROP") for on in _ON
}
_LEAVES_MORE = re.compile(r"set_config|advisory|\bpg_temp\b", re.IGNORECASE)
_TEMPORARY = frozenset({"TEMP", "TEMPORARY"})
_LONGEST = 20_000
"""Characters of a statement that are worth reading."""


class ScriptConnection(Connection):
    """A connection that notices when its driver's connection is asked for.

    What is done with that is not seen.
    """

    is_bypassed = False

    @property
    def connection(self) -> PoolProxiedConnection:
        self.is_bypassed = True
        return super().connection


class Session:
    """One session on the server, for one script or for several.

    connection: a new one for each script. is_new: no script has run in it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: set[str] = set()
        self.is_new = self.is_clean = True
        self.connection = ScriptConnection(engine)
        self._proxied = self.connection.connection

    def renew(self) -> None:
        """Be ready for the next script."""
        self.is_new = False
        self.connection = ScriptConnection(self._engine, self._proxied)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at what is sent in the block; note whether it may leave something."""
        connection = self.connection
        options = dict(connection.get_execution_options())
        connection.is_bypassed = False

        def see(
            conn: Any,
            cursor: Any,
            statement: str,
            values: Any,
            context: Any,
            many: bool,
        ) -> None:
            if many or statement in self._seen or not leaves_nothing(statement):
                # psycopg prepares what it is sent often, for the session.
                self.is_clean = False
            self._seen.add(statement)

        event.listen(connection, "before_cursor_execute", see)
        try:
            yield
        finally:
            event.remove(connection, "before_cursor_execute", see)
            if connection.is_bypassed or connection.get_execution_options() != options:
                self.is_clean = False

    @property
    def may_stay(self) -> bool:
        """Whether the next script may run in it."""
        connection = self.connection
        usable = not (connection.closed or connection.invalidated)
        return self.is_clean and usable and not connection.in_transaction()

    def close(self) -> None:
        """End it; the pool of the app does not get it back."""
        connection = self.connection
        try:
            if not (connection.closed or connection.invalidated):
                # At the end: a detached connection accepts no isolation level.
                connection.detach()
        finally:
            connection.close()


def leaves_nothing(text: str) -> bool:
    """Return whether a text of SQL leaves a session as it was, as far as is known."""
    if len(text) > _LONGEST or _LEAVES_MORE.search(text):
        return False
    return all(map(_is_known, statements(text)))


def _is_known(statement: Statement) -> bool:
    return statement.kind in _LEAVES_NOTHING and not statement.options & _TEMPORARY


class Sessions:
    """Opens sessions, and keeps a clean one for the next script.

    leave: called before a session ends, with its connection.
    """

    def __init__(self, engine: Engine, leave: Callable[[Connection], None]) -> None:
        self._engine = engine
        self._leave = leave
        self._keeps = False
        self._kept: Session | None = None

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep sessions within the block, for a run that holds the lock."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            self.drop()

    def drop(self) -> None:
        """End the session that is kept, if there is one."""
        kept, self._kept = self._kept, None
        if kept is not None:
            self._end(kept)

    @contextmanager
    def open(self) -> Iterator[Session]:
        """Hold a session for one script; after an error it is ended."""
        session, self._kept = self._kept, None
        if session is None:
            with driver_errors("be reached"):
                session = Session(self._engine)
        else:
            session.renew()
        try:
            yield session
        except BaseException:
            self._end(session)
            raise
        if self._keeps and session.may_stay:
            self._kept = session
        else:
            self._end(session)

    def _end(self, session: Session) -> None:
        try:
            self._leave(session.connection)
        finally:
            session.close()
