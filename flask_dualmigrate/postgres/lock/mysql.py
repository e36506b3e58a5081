"""The lock in MySQL and MariaDB: GET_LOCK, polled on its own connection.

It belongs to one server, not to one of its databases, so its name includes the
database's; nor to a cluster: if several servers accept writes, each has its own. The
lock ends with its session.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from ...backend.holder import Holder, OnWait
from ...errors import DatabaseUnavailable, LockLost
from ..server.errors import driver_errors, error_number, first_line
from ..server.script_session import connect_apart
from .protocol import poll

_ENDS_IN_S = 5.0
"""Seconds within which the server must end a session."""

_IDLE_S = 31_536_000
"""A year, the longest possible idle time of a session; the default is eight hours."""

_TAKE = sa.text("SELECT GET_LOCK(:name, 0), CONNECTION_ID()")
_RELEASE = sa.text("SELECT RELEASE_LOCK(:name)")
_USED_BY = sa.text("SELECT IS_USED_LOCK(:name)")
# An account without the PROCESS privilege sees only its own sessions. The session has
# been idle since it got the lock: its time was reset then.
_SESSION = sa.text(
    "SELECT USER AS user, HOST AS host, TIME AS age_s,"
    " UTC_TIMESTAMP() - INTERVAL TIME SECOND AS since"
    " FROM information_schema.PROCESSLIST WHERE ID = :session"
)
_PORT = re.compile(r":\d+$")
_NO_SUCH_SESSION = 1094


class MysqlLock:
    """The lock of one database and version table.

    schema: of the version table; None: the database that the engine connects to.
    keep_going: called while waiting; raises when the run must stop.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        schema: str | None = None,
        keep_going: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._schema = schema
        self._keep_going = keep_going
        self._session: int | None = None

    @contextmanager
    def held(self, *, timeout_s: float, on_wait: OnWait) -> Iterator[None]:
        """Hold the lock; raises LockTimeout, naming the holder.

        on_wait: called about once a second with who holds it.
        """
        with ExitStack() as stack:
            with driver_errors("take its lock"):
                connection = connect_apart(self._engine, stack)
                connection.execute(sa.text(f"SET SESSION wait_timeout = {_IDLE_S}"))
                name = self._name(connection)
                self._session = self._wait(connection, name, timeout_s, on_wait)
            stack.callback(self._release, connection, name)
            with driver_errors("end the sessions that a run left active"):
                self._shut_out(connection, name, timeout_s, on_wait)
            yield

    def require(self, connection: Connection) -> None:
        """Raise LockLost if the lock that `held` took was taken from us.

        connection: not the lock's own, which stays idle.
        """
        if self._session is None:
            return  # a run without locks, as tests have it
        if _used_by(connection, self._name(connection)) != self._session:
            raise LockLost(
                f"The lock on {self._server} was lost: the session that held it has "
                "ended",
                hint="The changes the script had made by then may remain. "
                "Check them, and run the same command again.",
            )

    def holder(self) -> Holder | None:
        """Return who holds the lock; None if no one does."""
        with driver_errors("read its lock"), self._engine.connect() as connection:
            return _holder(connection, self._name(connection))

    def free(self, holder: Holder) -> bool:
        """End the session of a holder; False if it no longer has the lock.

        Raises DatabaseUnavailable, with what to do, if the server does not allow it.
        """
        with driver_errors("free its lock"), self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            name = self._name(connection)
            session = _used_by(connection, name)
            if session is None or session != holder.server_pid:
                return False
            try:
                _kill(connection, session)
            except sa.exc.DBAPIError as error:
                raise _not_allowed(self._server, holder, error) from error
            self._see_ended(connection, name, session)
        return True

    def enter(self, connection: Connection) -> None:
        """Mark a session as working on a script, for the next run to see.

        kill -9 on a client does not stop its statement. Raises LockLost if another
        session is at work.
        """
        work = _at_work(self._name(connection))
        if not connection.execute(_TAKE, {"name": work}).one()[0]:
            raise LockLost(
                f"The lock on {self._server} was lost: another run is using it",
                hint="Run the same command again.",
            )

    def leave(self, connection: Connection) -> None:
        """Mark the session as no longer active; if it is gone, nothing is needed."""
        if connection.closed or connection.invalidated:
            return
        with suppress(sa.exc.DBAPIError):
            parameters = {"name": _at_work(self._name(connection))}
            connection.execute(_RELEASE, parameters)
            connection.rollback()

    def end(self) -> None:
        """Make sure that no session is active after our connection was lost.

        Raises DatabaseUnavailable if that cannot be determined.
        """
        with driver_errors("end a session"), self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            work = _at_work(self._name(connection))
            session = _used_by(connection, work)
            if session is not None:
                _kill_if_allowed(connection, session)
                self._see_ended(connection, work, session)

    @property
    def _server(self) -> str:
        is_mariadb = getattr(self._engine.dialect, "is_mariadb", False)
        return "MariaDB" if is_mariadb else "MySQL"

    def _name(self, connection: Connection) -> str:
        """Return the lock's name, of 64 characters at most: 52."""
        database = self._schema
        if database is None:
            found = connection.execute(sa.text("SELECT DATABASE()")).scalar_one()
            database = str(found or "")
        # Whether database names are case-sensitive depends on the server; two databases
        # that share a lock only wait for each other.
        words = f"flask-dualmigrate:{database.lower()}".encode()
        return f"dualmigrate:{hashlib.sha256(words).hexdigest()[:40]}"

    def _wait(
        self, connection: Connection, name: str, timeout_s: float, on_wait: OnWait
    ) -> int:
        """Poll until we have the lock; return the id of our session."""

        def take() -> int | None:
            taken, session = connection.execute(_TAKE, {"name": name}).one()
            return int(session) if taken else None

        return self._poll(take, connection, name, timeout_s, on_wait)

    def _shut_out(
        self, connection: Connection, name: str, timeout_s: float, on_wait: OnWait
    ) -> None:
        """End the sessions that a dead run left active, before anything is read.

        If the server does not allow it, wait for them.
        """
        work = _at_work(name)

        def is_free() -> bool | None:
            session = _used_by(connection, work)
            if session is not None:
                _kill_if_allowed(connection, session)
            return True if session is None else None

        self._poll(is_free, connection, work, max(timeout_s, _ENDS_IN_S), on_wait)

    def _poll(
        self,
        take: Callable[[], int | None],
        connection: Connection,
        name: str,
        timeout_s: float,
        on_wait: OnWait,
    ) -> int:
        return poll(
            take,
            lambda: _holder(connection, name),
            server=self._server,
            timeout_s=timeout_s,
            on_wait=on_wait,
            keep_going=self._keep_going,
        )

    def _see_ended(self, connection: Connection, name: str, session: int) -> None:
        give_up = time.monotonic() + _ENDS_IN_S
        while _used_by(connection, name) == session:
            if time.monotonic() >= give_up:
                raise DatabaseUnavailable(
                    f"{self._server} did not end the session {session} in "
                    f"{_ENDS_IN_S:g} s",
                    hint="See what it is doing with: SHOW PROCESSLIST",
                )
            time.sleep(0.05)

    def _release(self, connection: Connection, name: str) -> None:
        """Release the lock; if the session is gone, so is the lock."""
        self._session = None
        try:
            connection.execute(_RELEASE, {"name": name})
        except sa.exc.DBAPIError:
            connection.invalidate()


def _at_work(name: str) -> str:
    """Return the name of the lock of a session that runs a script."""
    return f"{name}:work"


def _used_by(connection: Connection, name: str) -> int | None:
    """Return the id of the session that holds a lock; None if none does."""
    found = connection.execute(_USED_BY, {"name": name}).scalar_one()
    return None if found is None else int(found)


def _holder(connection: Connection, name: str) -> Holder | None:
    session = _used_by(connection, name)
    if session is None:
        return None
    row = connection.execute(_SESSION, {"session": session}).mappings().first()
    if row is None:
        return Holder(server_pid=session, key=str(session))
    return Holder(
        user=row["user"],
        host=_PORT.sub("", row["host"]),
        since=row["since"].replace(tzinfo=UTC),
        age_s=float(row["age_s"]),
        server_pid=session,
        key=str(session),
    )


def _kill(connection: Connection, session: int) -> None:
    """End a session; it may have ended by itself. Raises DBAPIError."""
    try:
        connection.exec_driver_sql(f"KILL CONNECTION {int(session)}")
    except sa.exc.DBAPIError as error:
        if error_number(error) != _NO_SUCH_SESSION:
            raise


def _kill_if_allowed(connection: Connection, session: int) -> None:
    with suppress(sa.exc.DBAPIError):
        _kill(connection, session)


def _not_allowed(
    server: str, holder: Holder, error: sa.exc.DBAPIError
) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"{server} does not allow ending the session of "
        f"{holder.who}: {first_line(error)}",
        hint="Do it as the same user, or as one that may end other users' "
        f"sessions: KILL {holder.server_pid};",
    )
