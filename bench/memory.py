"""How far a process grows while it works: measured in a fresh one, and not timed."""

from __future__ import annotations

import gc
import multiprocessing
import threading
from multiprocessing.connection import Connection

import psutil

from .measure import Arrange

_EVERY_S = 0.002


def peak_growth(arrange: Arrange) -> int:
    """Return by how many bytes the resident memory grew at most, in a new process.

    arrange: as of a Contender, and made of what a process can be sent: a function of
    a module, or a partial of one. What `arrange` itself loads does not count.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(arrange, sender))
    process.start()
    sender.close()
    try:
        growth: int = receiver.recv()
    except EOFError:
        raise RuntimeError("The process that measures memory failed") from None
    finally:
        process.join()
    return growth


def _measure(arrange: Arrange, sender: Connection) -> None:
    with arrange() as act:
        gc.collect()
        watch = _Watch()
        act()
        sender.send(watch.stop())


class _Watch(threading.Thread):
    """Looks at the resident memory of this process again and again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process()
        self._done = threading.Event()
        self._before = self._peak = self._process.memory_info().rss
        self.start()

    def run(self) -> None:
        while not self._done.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        self._peak = max(self._peak, self._process.memory_info().rss)

    def stop(self) -> int:
        """Return the growth, in bytes."""
        self._done.set()
        self.join()
        self._look()
        return self._peak - self._before
