"""Stop a run on a signal: what is interrupted at once, and what is not.

What can be interrupted anywhere (a PostgreSQL script, an index build, waiting) ends at
the first signal. Everything else continues to the next point where it can stop: the
end of a batch, of a script's function, or of a step. A second signal kills the process.
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

    Not an Exception, so that nothing is undone: the next run continues. Because it is a
    KeyboardInterrupt, psycopg cancels the statement that the server is running.

    signal: which one. target: where to migrate to, to continue; None if nothing had
    been planned yet. revision: id of the revision that is half done, if any.
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
        """What a shell reports for a process ended by a signal: 130, 143."""
        return 128 + self.signal


Say = Callable[[Interrupted, bool], None]


class Stop:
    """Whether a run was asked to stop; never, unless `listening` is used.

    say: called in the signal handler: at the first signal (second: False) if the run
    does not stop at once, and at the second, just before the process ends.
    target: of the run, as in Interrupted; set when the run is planned.
    """

    def __init__(self, say: Say | None = None) -> None:
        self.target: str | None = None
        self._say = say or (lambda stopped, second: None)
        self._asked: signal.Signals | None = None
        self._patient = False

    @property
    def asked(self) -> signal.Signals | None:
        """The signal that asked it to stop; None if none did."""
        return self._asked

    def require(self) -> None:
        """Raise Interrupted if a signal asked to stop; works in any thread."""
        if self._asked is not None:
            raise Interrupted(self._asked, self.target)

    def pause(self, seconds: float) -> None:
        """Sleep; raise Interrupted as soon as a signal asks to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.require()
            time.sleep(min(left, _POLL_S))
        self.require()

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """Let the code inside continue after a signal, until it calls `require`."""
        with self._mode(patient=True):
            yield

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal interrupt the code inside: it raises Interrupted there."""
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
        """Treat SIGINT and SIGTERM as requests to stop, only in the main thread.

        An ignored signal (background job, nohup) stays ignored.
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
"""For a run in a process whose signals belong to a server or an application."""
