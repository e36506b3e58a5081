"""Stopping a run that a signal asked to stop: what is cut short, and what is not.

What may be cut short anywhere (a PostgreSQL script, the building of an index, waiting)
ends at the first signal. The rest goes on to the next place where it can be left: the
end of a batch, of a function of a script, of a step. The second signal is a kill.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_POLL_S = 0.25
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run; what it had begun is in the journal.

    No Exception, so that nothing is undone for it: the next run carries on. As a
    KeyboardInterrupt it makes psycopg cancel what the server works on.

    signal: which one. target: what to bring the databases to, to carry on; None if
    nothing had been planned yet. revision: id of the one that is half done, if one is.
    done: ids of the revisions that this run completed.
    """

    def __init__(self, number: signal.Signals, target: str | None = None) -> None:
        super().__init__(f"stopped by {number.name}")
        self.signal = number
        self.target = target
        self.revision: str | None = None
        self.done: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """What a shell gives for a process that a signal ended: 130, 143."""
        return 128 + self.signal


Say = Callable[[Interrupted, bool], None]


class Stop:
    """Whether a run was asked to stop; one that no one listens for never is.

    say: told in the signal handler, at the first signal if it is not heeded at once
    (second: False), and at the second, just before the process ends.
    target: of the run, as Interrupted has it; set when it is planned.
    """

    def __init__(self, say: Say | None = None) -> None:
        self.target: str | None = None
        self._say = say or (lambda stopped, second: None)
        self._asked: signal.Signals | None = None
        self._patient = False

    @property
    def asked(self) -> signal.Signals | None:
        """The signal that asked, None if none did."""
        return self._asked

    def require(self) -> None:
        """Raise Interrupted if a signal asked to stop; from any thread."""
        if self._asked is not None:
            raise Interrupted(self._asked, self.target)

    def pause(self, seconds: float) -> None:
        """Sleep, but not longer than until a signal asks to stop: Interrupted."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.require()
            time.sleep(min(left, _POLL_S))
        self.require()

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """Let what runs inside go on after a signal, until it asks with `require`."""
        with self._mode(patient=True):
            yield

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Cut short what runs inside: a signal raises Interrupted there."""
        self.require()
        with self._mode(patient=False):
            yield

    @contextmanager
    def _mode(self, *, patient: bool) -> Iterator[None]:
        before, self._patient = self._patient, patient
        try:
            yield
        finally:
            self._patient = before

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as requests, in the main thread alone.

        One that is ignored (a job in the background, nohup) stays ignored.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.getsignal(number) for number in SIGNALS}
        taken = [number for number in SIGNALS if former[number] != signal.SIG_IGN]
        try:
            for number in taken:
                signal.signal(number, self._on_signal)
            yield
        finally:
            for number in taken:
                signal.signal(number, former[number] or signal.SIG_DFL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        stopped = Interrupted(signal.Signals(number), self.target)
        if self._asked is not None:
            self._say(stopped, True)
            os._exit(stopped.exit_code)
        self._asked = stopped.signal
        if not self._patient:
            raise stopped
        self._say(stopped, False)


NEVER = Stop()
"""For a run whose signals belong to a server or an application."""
