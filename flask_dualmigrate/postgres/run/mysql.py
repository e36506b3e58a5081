"""One attempt at a script in MySQL or MariaDB."""

from __future__ import annotations

from sqlalchemy import Connection

from ..lock.mysql import MysqlLock
from .attempt import OneAttempt


class MysqlAttempt(OneAttempt):
    """Marks the session as at work, so that the next run finds it."""

    def __init__(self, lock: MysqlLock) -> None:
        self._lock = lock

    def begin(self, connection: Connection) -> None:
        self._lock.enter(connection)

    def leave(self, connection: Connection) -> None:
        self._lock.leave(connection)

    def end(self) -> None:
        self._lock.end()
