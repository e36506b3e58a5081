"""The lock in PostgreSQL: a session advisory lock, polled on a connection of its own.

A waiter blocked in pg_advisory_lock() stalls CREATE INDEX CONCURRENTLY, so it is asked
for again and again with pg_try_advisory_lock(). The lock goes when the session goes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from ..crashpoints import around
from ..errors import LockTimeout
from .errors import driver_errors

_POLL_S = 0.25
_HOLDER = sa.text(
    "SELECT a.pid, a.usename, a.client_addr, a.application_name, a.backend_start"
    " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND l.classid = :high AND l.objid = :low AND l.objsubid = 1"
)


def lock_key(schema: str | None) -> int:
    """Return the 63-bit key: one for each version table in a database."""
    digest = hashlib.sha256(f"flask-dualmigrate:{schema or ''}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def advisory_lock(
    engine: Engine,
    *,
    key: int,
    timeout_s: float,
    on_wait: Callable[[str], None],
    keep_going: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hold the advisory lock; raises LockTimeout, naming the holder.

    keep_going: called while it is waited for; raises when the run must stop.
    """
    with ExitStack() as stack:
        with driver_errors("take its lock"):
            plain = stack.enter_context(engine.connect())
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            _wait(connection, key, timeout_s, on_wait, keep_going)
        stack.callback(_release, connection, key)
        yield


@around("postgres.lock")
def _wait(
    connection: Connection,
    key: int,
    timeout_s: float,
    on_wait: Callable[[str], None],
    keep_going: Callable[[], None],
) -> None:
    give_up = time.monotonic() + timeout_s
    told = False
    query = sa.select(sa.func.pg_try_advisory_lock(key))
    while not connection.execute(query).scalar_one():
        holder = _holder(connection, key)
        if time.monotonic() >= give_up:
            raise LockTimeout(
                f"Another migration holds the lock on PostgreSQL, and did not let go "
                f"in {timeout_s:g} s",
                holder=holder,
                where=holder,
                hint="Wait for it, or raise DUALMIGRATE_LOCK_TIMEOUT_S.",
            )
        if not told:
            on_wait(holder)
            told = True
        time.sleep(_POLL_S)
        keep_going()


@around("postgres.unlock")
def _release(connection: Connection, key: int) -> None:
    """Let go; where the session is gone, the lock is gone with it."""
    try:
        connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
    except sa.exc.DBAPIError:
        connection.invalidate()


def _holder(connection: Connection, key: int) -> str:
    parameters = {"high": key >> 32, "low": key & 0xFFFFFFFF}
    row = connection.execute(_HOLDER, parameters).mappings().first()
    if row is None:
        return "nobody any more"
    host = row["client_addr"] or "this host"
    since = f"{row['backend_start']:%Y-%m-%d %H:%M:%S %Z}"
    return f"{row['usename']}@{host} (server pid {row['pid']}), since {since}"
