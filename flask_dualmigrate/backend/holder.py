"""The holder of a lock, and whether its process is provably gone.

All times are the server's, because the clocks of clients may differ by hours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclasses.dataclass(frozen=True)
class Holder:
    """The holder of the lock of one side, as far as its server shows it.

    user, host, pid: of the process. since: when it took the lock; age_s: seconds since.
    mark: distinguishes its process from a later one with the same pid, see `mark_of`.
    lease_s: seconds until its lease ends; 0 or less: it is over; None: it has none, and
    holds the lock as long as its session on the server lasts. server_pid: of that
    session. key: what distinguishes this hold from the next one.
    """

    user: str | None = None
    host: str | None = None
    pid: int | None = None
    since: datetime | None = None
    age_s: float | None = None
    mark: str | None = None
    lease_s: float | None = None
    server_pid: int | None = None
    key: str = ""

    @property
    def gone(self) -> str | None:
        """Why it cannot still be running; None: that is not proven."""
        if self.pid is not None and self.mark and _has_ended(self.pid, self.mark):
            return "its process no longer exists"
        return None

    @property
    def is_overdue(self) -> bool:
        """Whether its lease has expired by the server's clock, which may be wrong."""
        return self.lease_s is not None and self.lease_s <= 0

    @property
    def who(self) -> str:
        """Name the process, or else the session."""
        if self.pid is not None:
            return f"{self.user or '?'}@{self.host or '?'} (pid {self.pid})"
        where = f" from {self.host}" if self.host else ""
        session = f" (server pid {self.server_pid})" if self.server_pid else ""
        return f"{self.user or 'someone'}{where}{session}"

    def __str__(self) -> str:
        if self.since is None or self.age_s is None:
            return self.who
        since = f"{self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
        return f"{self.who}, since {since} ({_age(self.age_s)})"


OnWait = Callable[[Holder | None], None]
"""Called about once a second with the holder of the lock; None: no one."""


def mark_of(pid: int) -> str | None:
    """Return a mark that identifies a process; None if it does not exist.

    It consists of the machine's boot, the pid namespace (containers may share a host
    name, but not that) and the process's start, so it is never repeated. Also None if
    the system does not show them.
    """
    place, started = _place(), _started(pid)
    return None if place is None or started is None else f"{place}.{started}"


def _has_ended(pid: int, mark: str) -> bool:
    """Return whether a process of this machine and namespace has certainly ended."""
    place = _place()
    if place is None or mark.partition(".")[0] != place:
        return False
    if _started(pid) is None:
        return not Path(f"/proc/{pid}").exists()
    return mark_of(pid) != mark


def _place() -> str | None:
    try:
        boot, space = _BOOT.read_text().strip(), os.readlink("/proc/self/ns/pid")
        us = os.readlink("/proc/self")
    except OSError:
        return None
    if us != str(os.getpid()):
        return None  # /proc belongs to another namespace, and its pids are not ours
    return hashlib.sha256(f"{boot} {space}".encode()).hexdigest()[:8]


def _started(pid: int) -> str | None:
    """Return when a process was started, in ticks since boot.

    Source: proc(5), field 22 of /proc/PID/stat; the name before it may contain
    anything. A zombie has ended: its parent just has not asked yet.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return "ended" if fields[0] in "ZX" else format(int(fields[19]), "x")


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return (
        f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
    )
