"""Who uses the servers of a folder: file locks that outlive no process.

There are two files. Each process that uses the servers holds a shared lock on
``.servers.users``; a process that can lock it exclusively is the last one.
``.servers.lock`` is locked exclusively while servers are started or stopped. The kernel
releases both locks when the process ends, even after kill -9, which no list of process
ids can guarantee.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import EmbeddedServerError
from .wheels import WAY_OUT

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_POLL_S = 0.02


class Lease:
    """The share that one process has in the servers of a folder."""

    def __init__(self, folder: Path) -> None:
        self._users = folder / ".servers.users"
        self._lock = folder / ".servers.lock"
        self._fd: int | None = None
        self._spare: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process counts as a user."""
        return self._fd is not None

    def hold(self) -> None:
        """Count as a user from now on. Only while `changing`."""
        if self._fd is not None and not self._is_current():
            self.let_go()
        if self._fd is None:
            self._fd = _open_locked(self._users, fcntl.LOCK_SH)
            _held.add(self)

    def is_last(self) -> bool:
        """Whether no one else counts as a user. Only while `changing`.

        Checking may lose the shared lock itself, so call `let_go` next.
        """
        if self._fd is None or not self._is_current():
            return False
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def let_go(self) -> None:
        """Stop counting as a user."""
        _held.discard(self)
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _is_current(self) -> bool:
        """Whether our file is still the one in the folder, which may be recreated."""
        assert self._fd is not None
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._users))
        except FileNotFoundError:
            return False

    @contextmanager
    def changing(self, *, timeout_s: float = 120.0) -> Iterator[None]:
        """Be the only process that starts or stops servers of this folder.

        Raises EmbeddedServerError if another one is still doing so after `timeout_s`.
        """
        if fcntl is None:
            raise EmbeddedServerError(
                "Embedded servers need Linux or macOS",
                hint=f"{WAY_OUT[0].upper()}{WAY_OUT[1:]}.",
            )
        fd = self._wait_for_lock(timeout_s)
        try:
            yield
        finally:
            # Unlocked explicitly: a child forked meanwhile has the descriptor too.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def _wait_for_lock(self, timeout_s: float) -> int:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return _open_locked(self._lock, fcntl.LOCK_EX)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(
                        "Another process has been starting or stopping the servers "
                        f"for {timeout_s:.0f} s",
                        where=str(self._lock),
                        hint="End that process, then try again.",
                    ) from None
            time.sleep(_POLL_S)

    def _before_fork(self) -> None:
        # A lock belongs to the open file, which parent and child would share: if one
        # released it, it would be released for both. The child gets its own open file,
        # locked before the child exists, so that it is never without a lock.
        self._spare = self._try_open()

    def _after_fork_in_parent(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _after_fork_in_child(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        # No spare lock: a server like uWSGI forks in C and calls no hook in the parent.
        self._fd = self._spare if self._spare is not None else self._try_open()
        self._spare = None

    def _try_open(self) -> int | None:
        """Return one more shared lock; None if it fails: the child is not a user."""
        try:
            return _open_locked(self._users, fcntl.LOCK_SH)
        except OSError:
            return None


def _open_locked(path: Path, kind: int) -> int:
    """Open a file, created if missing, and lock it without waiting.

    Raises BlockingIOError if another process holds the lock.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


_held: weakref.WeakSet[Lease] = weakref.WeakSet()


def _on_fork(act: Callable[[Lease], None]) -> Callable[[], None]:
    def each() -> None:
        for lease in list(_held):
            act(lease)

    return each


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_on_fork(Lease._before_fork),
        after_in_parent=_on_fork(Lease._after_fork_in_parent),
        after_in_child=_on_fork(Lease._after_fork_in_child),
    )
