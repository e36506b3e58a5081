"""What a dead run left active in PostgreSQL, and the lock that identifies it.

kill -9 on a client does not stop the server: a statement runs to its end, and a COMMIT
that was sent is done, while the migration lock is already free. So a session that runs
a script holds another lock meanwhile. A run that has the migration lock and finds the
other one taken ends that session before it reads the state of the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from ...backend.holder import Holder, OnWait
from ...errors import DatabaseUnavailable, LockLost, LockTimeout
from ..server.errors import driver_errors

_POLL_S = 0.05
_LOOK_S = 1.0
_ENDS_IN_S = 5.0
"""Seconds within which the server must end a session."""

_HELD = (
    " FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND l.classid = :work_high AND l.objid = :work_low AND l.objsubid = 1"
)
IS_AT_WORK = "EXISTS (SELECT" + _HELD + " AND l.pid = {pid})"
"""SQL condition: the session of a pid runs one of our scripts; see work_parameters."""

_WHO = sa.text(
    "SELECT a.pid, a.usename, host(a.client_addr) AS client, a.xact_start AS since,"
    " extract(epoch FROM clock_timestamp() - a.xact_start)::float AS age_s,"
    " EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.pid = a.pid"
    " AND p.command LIKE '% CONCURRENTLY') AS builds"
    " FROM pg_stat_activity a WHERE a.pid IN (SELECT l.pid" + _HELD + ")"
)
# Of the same role, or of one whose sessions it may end: wait for others.
_END = sa.text(
    "SELECT pg_terminate_backend(l.pid)" + _HELD + " AND l.pid = :pid"
    " AND EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid"
    " AND (pg_has_role(a.usesysid, 'USAGE') OR pg_has_role("
    "'pg_signal_backend', 'USAGE')))"
)


def work_key(key: int) -> int:
    """Return the key of a script session's lock. key: that of the migration lock."""
    return key ^ 1


def work_parameters(key: int) -> dict[str, int]:
    """Return the parameters of `IS_AT_WORK`. key: of the migration lock."""
    work = work_key(key)
    return {"work_high": work >> 32, "work_low": work & 0xFFFFFFFF}


def leave(connection: Connection, key: int) -> None:
    """Release the lock of a session that ran a script, because the pool reuses it.

    Bypasses SQLAlchemy's events, which would report it as a script's statement.
    """
    if connection.closed or connection.invalidated:
        return
    try:
        raw: Any = connection.connection.driver_connection
        raw.rollback()
        # Without it the driver would begin a transaction, and we would end it.
        was, raw.autocommit = raw.autocommit, True
        cursor = raw.cursor()
        cursor.execute(f"SELECT pg_advisory_unlock({work_key(key)})")
        cursor.close()
        raw.autocommit = was
    except Exception:
        connection.invalidate()  # the lock goes with the session


def enter(connection: Connection, key: int) -> None:
    """Take the lock of an active session; `leave`, or the session's end, frees it.

    Raises LockLost if another one is active.
    """
    asked = sa.select(sa.func.pg_try_advisory_lock(work_key(key)))
    require_free(connection.execute(asked).scalar_one())


def require_free(taken: bool) -> None:
    """Raise LockLost if another session is active: the lock is no longer ours."""
    if not taken:
        raise LockLost(
            "The lock on PostgreSQL was lost: another run is using it",
            hint="Nothing was written after that. Run the same command again.",
        )


def end_own(engine: Engine, key: int, pid: int) -> None:
    """Make sure that our session, whose connection was lost, is no longer active.

    Raises DatabaseUnavailable if that cannot be determined.
    """
    parameters = {**work_parameters(key), "pid": pid}
    held = sa.text("SELECT count(*)" + _HELD + " AND l.pid = :pid")
    with driver_errors("end a session"), engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        give_up = time.monotonic() + _ENDS_IN_S
        while connection.execute(held, parameters).scalar_one():
            connection.execute(_END, parameters)
            if time.monotonic() >= give_up:
                raise DatabaseUnavailable(
                    f"PostgreSQL did not end the session {pid} in {_ENDS_IN_S:g} s",
                    hint="See what it is doing in pg_stat_activity.",
                )
            time.sleep(_POLL_S)


def shut_out(
    connection: Connection,
    key: int,
    *,
    timeout_s: float,
    on_wait: OnWait,
    keep_going: Callable[[], None],
) -> None:
    """End the sessions that a dead run left active; the migration lock is held.

    What they had not committed is rolled back. It waits for an index that is being
    built concurrently: ending that would lose the work, and leave an INVALID index.
    connection: in autocommit. timeout_s, on_wait: as for the lock. Raises LockTimeout.
    """
    began = time.monotonic()
    give_up, look_at = began + max(timeout_s, _ENDS_IN_S), began + _LOOK_S
    parameters = work_parameters(key)
    while (row := connection.execute(_WHO, parameters).mappings().first()) is not None:
        if not row["builds"]:
            connection.execute(_END, {**parameters, "pid": row["pid"]})
        now = time.monotonic()
        if now >= give_up:
            raise LockTimeout.of("PostgreSQL", _holder(row), timeout_s)
        if now >= look_at:
            on_wait(_holder(row))
            look_at = time.monotonic() + _LOOK_S
        time.sleep(_POLL_S)
        keep_going()


def _holder(row: sa.RowMapping) -> Holder:
    return Holder(
        user=row["usename"],
        host=row["client"],
        pid=None,
        since=row["since"],
        age_s=row["age_s"],
        mark=None,
        server_pid=row["pid"],
        key=str(row["pid"]),
    )
