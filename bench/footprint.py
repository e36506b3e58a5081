"""What a job asks of its process and of MongoDB: measured in a new one, not timed."""

from __future__ import annotations

import gc
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection

import psutil
from pymongo import monitoring

from .measure import Arrange, Footprint

_EVERY_S = 0.002


def footprint_of(arrange: Arrange) -> Footprint:
    """Do a job in a new process, and return what it needed.

    arrange: as of a Contender, and made of what a process can be sent: a function of
    a module, or a partial of one.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(arrange, sender))
    process.start()
    sender.close()
    try:
        found: Footprint = receiver.recv()
    except EOFError:
        raise RuntimeError("The process that measures a footprint failed") from None
    finally:
        process.join()
    return found


def _measure(arrange: Arrange, sender: Connection) -> None:
    transactions = Transactions()
    monitoring.register(transactions)  # before `arrange` makes its client
    with arrange() as act:
        gc.collect()
        watch = _Watch()
        act()
        sender.send(watch.stop(transactions.longest_s))


class Transactions(monitoring.CommandListener):
    """Times the transactions of this process, from their first command to their end."""

    def __init__(self) -> None:
        self.longest_s: float | None = None
        self._began: dict[bytes, float] = {}
        self._ending: dict[int, bytes] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if "lsid" not in event.command:
            return
        session = bytes(event.command["lsid"]["id"])
        if event.command.get("startTransaction"):
            self._began[session] = time.perf_counter()
        elif event.command_name in ("commitTransaction", "abortTransaction"):
            self._ending[event.request_id] = session

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self._end(event.request_id)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._end(event.request_id)

    def _end(self, request_id: int) -> None:
        session = self._ending.pop(request_id, None)
        began = None if session is None else self._began.pop(session, None)
        if began is not None:
            took_s = time.perf_counter() - began
            self.longest_s = max(self.longest_s or 0.0, took_s)


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

    def stop(self, longest_transaction_s: float | None) -> Footprint:
        self._done.set()
        self.join()
        self._look()
        growth_bytes = self._peak - self._before
        return Footprint(growth_bytes, self._peak, longest_transaction_s)
