"""Ends this process when its lease ends, even while the process is stopped.

Before each command a run checks the clock of its lease. A process that is stopped right
after that check (SIGSTOP, a frozen container, a sleeping machine) and woken when
another one has the lock would send the command late. MongoDB refuses such a write to a
document because of its token (see steps.py), but not a drop, a rename or an index. So a
kernel timer knows when the lease ends, and then sends SIGKILL, even to a stopped
process, which never wakes.
"""

from __future__ import annotations

import ctypes
import signal
import time

_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_SIGEV_SIGNAL = 0
_TIMER_ABSTIME = 1
_NANOSECONDS = 1_000_000_000


def clock() -> float:
    """Return the seconds of a monotonic clock.

    On Linux it keeps running while the machine sleeps, as a lease does on its server.
    """
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


class Watchdog:
    """A timer that kills this process, but none of its children.

    If the system has no such timer (Linux has), nothing is armed.
    Source: timer_create(2), timer_settime(2).
    """

    def __init__(self) -> None:
        self._timer: ctypes.c_void_p | None = None

    def arm(self, at: float) -> None:
        """Have this process killed at a time of `clock`, replacing any earlier one."""
        if _LIBRARY is None:
            return
        if self._timer is None:
            timer = ctypes.c_void_p()
            event = _Event(signal=signal.SIGKILL, notify=_SIGEV_SIGNAL)
            if _LIBRARY.timer_create(_CLOCK, ctypes.byref(event), ctypes.byref(timer)):
                return  # a sandbox that forbids it
            self._timer = timer
        seconds, nanoseconds = divmod(int(at * _NANOSECONDS), _NANOSECONDS)
        setting = _Setting(value=_Time(seconds, nanoseconds))
        _LIBRARY.timer_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(setting), None)

    def disarm(self) -> None:
        """Let this process live."""
        timer, self._timer = self._timer, None
        if _LIBRARY is not None and timer is not None:
            _LIBRARY.timer_delete(timer)


class _Event(ctypes.Structure):
    """What the timer does; 64 bytes. Source: sigevent(3type)."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_byte * 48),
    )


class _Time(ctypes.Structure):
    """Source: timespec(3type)."""

    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    """When it fires, once only. Source: timer_settime(2)."""

    _fields_ = (("interval", _Time), ("value", _Time))


def _load() -> ctypes.CDLL | None:
    """Return the library that has timers; None if the system has none."""
    if _CLOCK is None:
        return None
    for name in (None, "librt.so.1"):  # the latter if glibc is older than 2.34
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if hasattr(library, "timer_create"):
            return library
    return None


_LIBRARY = _load()
