"""The lock of an SQLite database: a file next to it, locked during a run.

SQLite locks its database for one transaction, and a script may use several. The lock
ends with its process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine

from ...backend.holder import Holder, OnWait
from ...errors import DatabaseUnavailable, LockTimeout
from ..server.errors import driver_errors
from ..server.sqlite_file import path_of

_POLL_S = 0.25
_SUFFIX = ".dualmigrate-lock"


class SqliteLock:
    """The lock of one file; a database in memory needs none, as no one else sees it.

    keep_going: called while waiting; raises when the run must stop.
    """

    def __init__(self, engine: Engine, *, keep_going: Callable[[], None]) -> None:
        self._engine = engine
        self._keep_going = keep_going

    @contextmanager
    def held(self, *, timeout_s: float, on_wait: OnWait) -> Iterator[None]:
        """Hold the lock; raises LockTimeout. on_wait: called repeatedly."""
        lock = self._file()
        if lock is None:
            yield
            return
        give_up = time.monotonic() + timeout_s
        while not _taken(lock):
            if time.monotonic() >= give_up:
                raise LockTimeout.of("SQLite", _SOMEBODY, timeout_s)
            on_wait(_SOMEBODY)
            time.sleep(_POLL_S)
            self._keep_going()
        try:
            yield
        finally:
            lock.release()

    def holder(self) -> Holder | None:
        """Return a holder, if any; a file does not say who it is."""
        lock = self._file()
        if lock is None or not os.path.exists(lock.lock_file):
            return None
        if not _taken(lock):
            return _SOMEBODY
        lock.release()
        return None

    def free(self, holder: Holder) -> bool:
        """Raise DatabaseUnavailable: only the end of its process frees it."""
        raise DatabaseUnavailable(
            "The lock on an SQLite database ends only when its process ends",
            hint="End the process that is migrating.",
        )

    def require(self, connection: Connection) -> None:
        """Do nothing: no one can take it from a process."""

    def _file(self) -> FileLock | None:
        with driver_errors("be reached"), self._engine.connect() as connection:
            path = path_of(connection)
        return None if path is None else FileLock(f"{os.path.realpath(path)}{_SUFFIX}")


_SOMEBODY = Holder(user="another process", key="sqlite")


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError as error:
        raise DatabaseUnavailable(
            f"Cannot take the lock on SQLite: {error.strerror}",
            where=lock.lock_file,
            hint="The folder of the database must be writable.",
        ) from error
    return True
