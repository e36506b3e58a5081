"""Processes that hold both locks, to be stopped, killed, and woken again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Runs with a clock of its own before anything is imported that might look at it.
_SHIFTED = """
import datetime, time
shift_s = {shift_s}
real_time, real = time.time, datetime.datetime
time.time = lambda: real_time() + shift_s
class Shifted(real):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(seconds=shift_s)
    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)
datetime.datetime = Shifted
"""
_HOLD = """
import sys
from contextlib import ExitStack
import sqlalchemy as sa
from pymongo import MongoClient
from flask_dualmigrate.mongo.lock.lock import MongoLock
from flask_dualmigrate.postgres.lock.lock import PostgresLock, lock_key

postgres, mongo, lease_s, timeout_s = sys.argv[1:]
engine, client = sa.create_engine(postgres), MongoClient(mongo)
lock = PostgresLock(engine, key=lock_key(None))
lease = MongoLock(client.get_default_database(), lease_s=float(lease_s))
options = dict(timeout_s=float(timeout_s), on_wait=lambda holder: None)
with lock.held(**options), lease.held(**options):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(
    postgres: str,
    mongo: str,
    *,
    lease_s: float = 30,
    timeout_s: float = 10,
    shift_s: float | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process that holds both locks of two databases, until it is told to end.

    shift_s: how many seconds its clock is ahead.
    """
    shifted = "" if shift_s is None else _SHIFTED.format(shift_s=shift_s)
    words = [postgres, mongo, str(lease_s), str(timeout_s)]
    process = subprocess.Popen(
        [sys.executable, "-c", shifted + _HOLD, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stdout.readline() == "held\n", process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def nobody(holder: object) -> None:
    """Be told of a wait where none is expected."""
    raise AssertionError(f"waited for {holder}")
