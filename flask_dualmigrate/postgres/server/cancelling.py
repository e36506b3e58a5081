"""Canceling psycopg2's current statement when a signal arrives.

psycopg2 waits in libpq, where Python does not call signal handlers until the statement
has ended. psycopg 3 waits where Python does, and cancels by itself.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from ...runtime.stopping import NEVER, SIGNALS, Stop


@contextmanager
def interruptible(connection: Connection, stop: Stop) -> Iterator[None]:
    """Let a signal interrupt the block anywhere, as `stop.at_once` does."""
    if stop is NEVER or connection.dialect.driver != "psycopg2":
        with stop.at_once():
            yield
        return
    driver = connection.connection.dbapi_connection
    with _cancelled_by_signals(driver), stop.at_once():
        yield


@contextmanager
def _cancelled_by_signals(connection: Any) -> Iterator[None]:
    """Have a thread, which learns of a signal at once, cancel the statement.

    The signal's handler is called when the statement has ended. Only the main thread
    gets signals; nothing is done in other threads.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hearing, telling = socket.socketpair()
    telling.setblocking(False)
    before = signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(
        target=_listen, args=(hearing, connection), name="dualmigrate-cancel"
    )
    listener.daemon = True
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        telling.close()  # ends the listener
        listener.join()
        hearing.close()


def _listen(hearing: socket.socket, connection: Any) -> None:
    while numbers := hearing.recv(64):
        if any(number in SIGNALS for number in numbers):
            connection.cancel()
