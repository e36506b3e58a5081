"""The lock of one database, and polling it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from ...backend.holder import Holder, OnWait
from ...errors import LockTimeout

_POLL_S = 0.25
_LOOK_S = 1.0
"""Seconds between two checks of who holds it."""

Taken = TypeVar("Taken")


class Lock(Protocol):
    """Keeps other runs out of one database."""

    def held(
        self, *, timeout_s: float, on_wait: OnWait
    ) -> AbstractContextManager[None]:
        """Hold the lock; raises LockTimeout."""

    def holder(self) -> Holder | None:
        """Return who holds the lock; None if no one does."""

    def free(self, holder: Holder) -> bool:
        """Take the lock from a holder; False if that one no longer has it."""

    def require(self, connection: Connection) -> None:
        """Raise LockLost if the lock that `held` took was taken from us."""


class NoLock:
    """Keeps no one out; for a server whose locks are not supported here."""

    def held(
        self, *, timeout_s: float, on_wait: OnWait
    ) -> AbstractContextManager[None]:
        return nullcontext()

    def holder(self) -> Holder | None:
        return None

    def free(self, holder: Holder) -> bool:
        return False

    def require(self, connection: Connection) -> None:
        """Do nothing: no lock is held, so none can be lost."""


def poll(
    take: Callable[[], Taken | None],
    holder: Callable[[], Holder | None],
    *,
    server: str,
    timeout_s: float,
    on_wait: OnWait,
    keep_going: Callable[[], None],
) -> Taken:
    """Call `take` until it returns something; return that.

    server: its name, for people. on_wait: called about once a second with the holder.
    keep_going: raises when the run must stop. Raises LockTimeout, naming the holder.
    """
    give_up = time.monotonic() + timeout_s
    look_at = 0.0
    while (taken := take()) is None:
        now = time.monotonic()
        if now >= give_up:
            raise LockTimeout.of(server, holder(), timeout_s)
        if now >= look_at:
            on_wait(holder())
            look_at = time.monotonic() + _LOOK_S
        time.sleep(_POLL_S)
        keep_going()
    return taken
