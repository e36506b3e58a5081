"""What a process under a sweep sends to the servers, marked in its log of points.

Two crash points with no mark between them leave the same behind: between them nothing
was sent that a server keeps after the client is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pymongo import monitoring

MARK = "!"
_LOOKS = {
    *("aggregate", "buildInfo", "collStats", "connectionStatus", "count", "dbStats"),
    *("distinct", "endSessions", "explain", "find", "getMore", "getParameter"),
    *("hello", "listCollections", "listIndexes", "ping", "replSetGetStatus"),
}


class Writes(monitoring.CommandListener):
    """Marks each command to MongoDB that is none of looking.

    In a transaction a look counts too: it can be what opens it.
    """

    def __init__(self, log: str) -> None:
        self._log = log

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name not in _LOOKS or "autocommit" in event.command:
            self.mark()

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    def mark(self, *_: Any) -> None:
        with open(self._log, "a", encoding="utf-8") as file:
            file.write(f"{MARK}\n")


def mark_writes(log: str) -> None:
    """Let all clients and engines of this process mark what they write."""
    writes = Writes(log)
    monitoring.register(writes)
    sa.event.listen(sa.Engine, "commit", writes.mark)

    def statement(_: Any, cursor: Any, *__: Any) -> None:
        # In a transaction, what is not committed is rolled back with the client.
        if cursor.connection.autocommit:
            writes.mark()

    sa.event.listen(sa.Engine, "before_cursor_execute", statement)


def alike(lines: Sequence[str]) -> list[list[str]]:
    """Return the points of a log in groups that leave the same behind, in order."""
    groups: list[list[str]] = [[]]
    for line in lines:
        if line != MARK:
            groups[-1].append(line)
        # That point is told before the commit that it stands before, as its mark is.
        if line == MARK or line.startswith("postgres.commit.before#"):
            groups.append([])
    return [group for group in groups if group]
