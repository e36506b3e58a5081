"""The record of a revision on one side, in the same form on both sides."""

from __future__ import annotations

import dataclasses
import getpass
import os
import socket
from datetime import datetime

from ..revisions import Direction, Status


@dataclasses.dataclass(frozen=True)
class Actor:
    """Who runs a migration: user, host and process id."""

    user: str
    host: str
    pid: int

    @classmethod
    def current(cls) -> Actor:
        return cls(_user(), socket.gethostname(), os.getpid())

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (pid {self.pid})"


@dataclasses.dataclass(frozen=True)
class Entry:
    """The last attempt at a revision on one side.

    duration_ms: milliseconds; None while it runs and for a stamp.
    checksum: SHA-256 of the script that was applied, or that failed; None for a stamp
        without one.
    stamped: True if the revision was marked, not run.
    awaits_partner: this side is done, but not yet marked as final: the other side, if
    there is one, must have committed too.
    partial: it failed, and part of it could not be undone.
    undoing: it is half undone; written before the first operation is undone.
    notes: what the last undo left in what it undid, one line each.
    """

    revision: str
    direction: Direction
    status: Status
    down_revision: tuple[str, ...] = ()
    description: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    applied_at: datetime | None = None
    duration_ms: int | None = None
    checksum: str | None = None
    by: str | None = None
    host: str | None = None
    error: str | None = None
    stamped: bool = False
    awaits_partner: bool = False
    partial: bool = False
    undoing: bool = False
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """True if an attempt was begun and neither finished nor undone."""
        return self.status is Status.RUNNING or self.awaits_partner or self.partial

    @property
    def applied(self) -> bool:
        """True if the revision counts as applied on this side."""
        if self.status is Status.APPLIED:
            return True
        return self.direction is Direction.DOWNGRADE and self.status in (
            Status.RUNNING,
            Status.FAILED,
        )


@dataclasses.dataclass(frozen=True)
class Undone:
    """The result of undoing an attempt on one side.

    stays: why part of it could not be undone, and must be continued; None: everything
    the attempt did was processed. notes: details, one line each: what the undo had to
    leave as it is, and how much of it.
    """

    stays: str | None = None
    notes: tuple[str, ...] = ()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as containers have
        return str(os.getuid())
