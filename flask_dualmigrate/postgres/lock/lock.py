"""The lock in PostgreSQL: a session advisory lock, polled on its own connection.

A waiter blocked in pg_advisory_lock() stalls CREATE INDEX CONCURRENTLY, so the lock is
polled with pg_try_advisory_lock(). It ends with its session.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from ...backend.holder import Holder, OnWait
from ...backend.journal import Actor
from ...errors import DatabaseUnavailable, LockLost
from ...runtime.crashpoints import around
from ..server.errors import driver_errors, first_line
from ..server.script_session import connect_apart
from .at_work import shut_out
from .pooler import greeted_by, refuse_pooler
from .protocol import poll
from .sessions import read_name, session_name

_OURS = (
    " FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND l.classid = :high AND l.objid = :low AND l.objsubid = 1"
)
# The session has been idle since it got the lock: its last change of state was then.
# The server shows other roles neither that nor the address, only the name.
_HOLDER = sa.text(
    "SELECT a.pid, a.usename, host(a.client_addr) AS client, a.application_name,"
    " a.state_change AS since,"
    " extract(epoch FROM clock_timestamp() - a.state_change)::float AS age_s"
    " FROM pg_stat_activity a WHERE a.pid IN (SELECT l.pid" + _OURS + ")"
)
_HELD_BY = sa.text("SELECT count(*)" + _OURS + " AND l.pid = :pid")
_END = sa.text("SELECT pg_terminate_backend(l.pid)" + _OURS + " AND l.pid = :pid")
# Prepares the session to hold a lock, puts the owner in its name and takes the lock, if
# it is the expected one; taken is NULL otherwise, and nothing was done.
_TAKE = sa.text(
    "SELECT pg_backend_pid() AS pid, (SELECT count(set_config(s.name, v.value, false))"
    " FROM unnest(CAST(:names AS text[]), CAST(:values AS text[])) v(name, value)"
    " JOIN pg_settings s ON s.name = v.name"
    " WHERE pg_backend_pid() = CAST(:pid AS int)) AS settled,"
    " CASE WHEN pg_backend_pid() = CAST(:pid AS int)"
    " THEN pg_try_advisory_lock(CAST(:key AS bigint)) END AS taken"
)
_ENDS_IN_S = 5.0

_SETTINGS = {
    # Nothing may end the idle session as forgotten, and the lock with it.
    "idle_session_timeout": "0",
    # Otherwise a host that vanished keeps its session for two hours.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


def lock_key(schema: str | None) -> int:
    """Return the 63-bit key, one for each version table in a database."""
    digest = hashlib.sha256(f"flask-dualmigrate:{schema or ''}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def lock_in_script(key: int) -> str:
    """Return SQL that takes the lock; it ends with the session that runs the script."""
    return (
        "DO $$ BEGIN\n"
        f"  IF NOT pg_try_advisory_lock({key}) THEN\n"
        "    RAISE EXCEPTION 'Another migration holds the lock on this database';\n"
        "  END IF;\n"
        "END $$;\n\n"
    )


class PostgresLock:
    """The advisory lock of one database and version table.

    keep_going: called while waiting; raises when the run must stop.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        key: int,
        keep_going: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._key = key
        self._parameters = {"high": key >> 32, "low": key & 0xFFFFFFFF}
        self._keep_going = keep_going
        self._server_pid: int | None = None

    @contextmanager
    def held(self, *, timeout_s: float, on_wait: OnWait) -> Iterator[None]:
        """Hold the lock; raises LockTimeout, naming the holder.

        on_wait: called about once a second with who holds it.
        """
        with ExitStack() as stack:
            with driver_errors("take its lock"):
                connection = connect_apart(self._engine, stack)
                self._server_pid = self._wait(connection, timeout_s, on_wait)
            stack.callback(self._release, connection)
            with driver_errors("end the sessions that a run left active"):
                self._shut_out(connection, timeout_s, on_wait)
            yield

    def require(self, connection: Connection) -> None:
        """Raise LockLost if the lock that `held` took was taken from us.

        connection: not the lock's own, which stays idle.
        """
        held = sa.text(f"SELECT {self.still_held()}")
        self.refuse_lost(bool(connection.execute(held).scalar_one()))

    def still_held(self) -> str:
        """Return an SQL condition: the lock that `held` took is still ours."""
        if self._server_pid is None:
            return "true"  # a run without locks, as tests have it
        held = _OURS
        for name, value in self._parameters.items():
            held = held.replace(f":{name}", str(value))
        return f"EXISTS (SELECT{held} AND l.pid = {self._server_pid})"

    def refuse_lost(self, is_held: bool) -> None:
        """Raise LockLost unless the condition of `still_held` is true."""
        if not is_held:
            raise LockLost(
                "The lock on PostgreSQL was lost: the session that held it has ended",
                hint="Nothing was written after that. Run the same command again.",
            )

    def holder(self) -> Holder | None:
        """Return who holds the lock; None if no one does."""
        with driver_errors("read its lock"), self._engine.connect() as connection:
            return self._holder(connection)

    def free(self, holder: Holder) -> bool:
        """End the session of a holder; False if it no longer has the lock.

        Raises DatabaseUnavailable, with what to do, if the server does not allow it.
        """
        with driver_errors("free its lock"), self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            parameters = {**self._parameters, "pid": holder.server_pid}
            try:
                ended = connection.execute(_END, parameters).scalar_one_or_none()
            except sa.exc.DBAPIError as error:
                raise _not_allowed(holder, error) from error
            give_up = time.monotonic() + _ENDS_IN_S
            while ended and connection.execute(_HELD_BY, parameters).scalar_one():
                if time.monotonic() >= give_up:
                    raise DatabaseUnavailable(
                        f"PostgreSQL did not end the session {holder.server_pid} in "
                        f"{_ENDS_IN_S:g} s",
                        hint="See what it is doing in pg_stat_activity.",
                    )
                time.sleep(0.05)
            return bool(ended)

    @around("postgres.lock")
    def _wait(self, connection: Connection, timeout_s: float, on_wait: OnWait) -> int:
        """Poll until we have the lock; return the pid of our session."""
        greeted = greeted_by(connection)

        def take() -> int | None:
            nonlocal greeted
            found = connection.execute(_TAKE, self._taking(greeted)).one()
            if found.taken is None:
                # Whoever answers is not who greeted us.
                refuse_pooler(self._engine, connection)
                greeted = found.pid
                return take()
            return int(found.pid) if found.taken else None

        return poll(
            take,
            lambda: self._holder(connection),
            server="PostgreSQL",
            timeout_s=timeout_s,
            on_wait=on_wait,
            keep_going=self._keep_going,
        )

    def _taking(self, session: int | None) -> dict[str, Any]:
        names = [*_SETTINGS, "application_name"]
        values = [*_SETTINGS.values(), session_name(Actor.current())]
        return {"key": self._key, "pid": session, "names": names, "values": values}

    @around("postgres.shut_out")
    def _shut_out(
        self, connection: Connection, timeout_s: float, on_wait: OnWait
    ) -> None:
        """End the sessions that a dead run left active, before anything is read."""
        shut_out(
            connection,
            self._key,
            timeout_s=timeout_s,
            on_wait=on_wait,
            keep_going=self._keep_going,
        )

    @around("postgres.unlock")
    def _release(self, connection: Connection) -> None:
        """Release the lock; if the session is gone, so is the lock."""
        self._server_pid = None
        try:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(self._key)))
        except sa.exc.DBAPIError:
            connection.invalidate()

    def _holder(self, connection: Connection) -> Holder | None:
        row = connection.execute(_HOLDER, self._parameters).mappings().first()
        if row is None:
            return None
        named = read_name(row["application_name"] or "")
        return Holder(
            user=named.user or row["usename"],
            host=named.host or row["client"],
            pid=named.pid,
            since=row["since"],
            age_s=row["age_s"],
            mark=named.mark,
            server_pid=row["pid"],
            key=str(row["pid"]),
        )


def _not_allowed(holder: Holder, error: sa.exc.DBAPIError) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "PostgreSQL does not allow ending the session of "
        f"{holder.who}: {first_line(error)}",
        hint="Ask for it as the same role, or as one with pg_signal_backend: "
        f"SELECT pg_terminate_backend({holder.server_pid});",
    )
