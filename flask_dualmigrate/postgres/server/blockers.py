"""Whose locks a session waits for, observed while it waits: later it is too late."""

from __future__ import annotations

import threading
from datetime import UTC

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

_QUICKEST_S, _SLOWEST_S = 0.05, 1.0
_LEAVE_S = 2.0
# Other roles cannot see what a session does, and since when. The query is left out: it
# may contain what no one else may read.
_BLOCKERS = sa.text(
    "SELECT b.pid, a.usename, a.application_name, a.state,"
    " coalesce(a.xact_start, a.state_change) AS since"
    " FROM unnest(pg_blocking_pids(:pid)) AS b(pid)"
    " LEFT JOIN pg_stat_activity a ON a.pid = b.pid ORDER BY since, b.pid"
)


class BlockerWatch:
    """Finds out, on a separate connection, which sessions another one waits for.

    It first looks when the session could have waited for half of its lock_timeout; a
    script that is done before that needs no extra connection.
    """

    def __init__(self, engine: Engine, server_pid: int, lock_timeout_s: float) -> None:
        self._engine = engine
        self._server_pid = server_pid
        self._first_s = lock_timeout_s / 2
        self._pause_s = min(max(lock_timeout_s / 4, _QUICKEST_S), _SLOWEST_S)
        self._over = threading.Event()
        self._seen: tuple[str, ...] = ()
        self._thread = threading.Thread(
            target=self._watch, name="dualmigrate-blockers", daemon=True
        )
        self._thread.start()

    def end(self) -> tuple[str, ...]:
        """Stop looking; return the sessions it last waited for."""
        self._over.set()
        # It may be waiting for a connection of the pool, and must not delay us.
        self._thread.join(_LEAVE_S)
        return self._seen

    def _watch(self) -> None:
        pause_s = self._first_s
        while not self._over.wait(pause_s):
            pause_s = self._pause_s
            try:
                found = self._look()
            except SQLAlchemyError:
                return  # no connection left: the error tells where to look
            self._seen = found or self._seen

    def _look(self) -> tuple[str, ...]:
        with self._engine.connect() as connection:
            if self._over.is_set():
                return ()
            rows = connection.execute(_BLOCKERS, {"pid": self._server_pid}).all()
        return tuple(map(_words, rows))


def _words(row: sa.Row[tuple[object, ...]]) -> str:
    if not row.pid:
        return "a prepared transaction (see pg_prepared_xacts)"
    name = f", application {row.application_name!r}" if row.application_name else ""
    state = f", {row.state}" if row.state else ""
    since = (
        f" since {row.since.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if row.since else ""
    )
    return f"pid {row.pid} (user {row.usename}{name}{state}{since})"
