"""Runs in processes of their own, to be killed with SIGKILL.

The processes are forked by a server that holds no client of its own: cheap enough to
kill one at every single command.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from flask_dualmigrate.backend import Progress
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.mongo.server.transactions import supports_transactions
from flask_dualmigrate.ops import Operation
from flask_dualmigrate.revisions import Direction
from tests.support.mongo.cases import CASES
from tests.support.mongo.runs import REVISION, UP

strides = pytest.mark.parametrize(
    "stride", [23, pytest.param(11, marks=pytest.mark.chaos)]
)
"""A case is killed at every so many commands, from another one on than the next."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


class KillAt(CommandListener):
    """Kills its own process before it sends one more than `commands` commands."""

    def __init__(self, commands: int) -> None:
        self.left = commands

    def started(self, event: CommandStartedEvent) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...


def run_killed(url: str, case_id: str, commands: int) -> bool:
    """Run a case of the table until its process sends that many commands.

    Returns True if it was killed, False if it came to its end before.
    """
    return _killed(_run_case, url, case_id, commands)


def revert_killed(url: str, case_id: str, commands: int) -> bool:
    """Undo a case until its process sends that many commands."""
    return _killed(_revert_case, url, case_id, commands)


def killed_at(
    url: str, commands: int, direction: Direction, *operations: Operation, undo: bool
) -> bool:
    """Run or undo operations until their process sends that many commands."""
    return _killed(_go, url, (direction, operations, undo), commands)


def _go(
    url: str, what: tuple[Direction, tuple[Operation, ...], bool], commands: int
) -> None:
    direction, operations, undo = what
    with MongoClient[Any](url, event_listeners=[KillAt(commands)]) as client:
        db = client.get_default_database()
        runner = OperationRunner(db, transactions=supports_transactions(db))
        work = runner.revert if undo else runner.run
        work(REVISION, direction, operations)


def _killed(target: Any, url: str, what: Any, commands: int) -> bool:
    process = _processes.Process(target=target, args=(url, what, commands))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def _run_case(url: str, case_id: str, commands: int) -> None:
    with MongoClient[Any](url, event_listeners=[KillAt(commands)]) as client:
        db = client.get_default_database()
        runner = OperationRunner(db, transactions=supports_transactions(db))
        runner.run(REVISION, UP, [CASES[case_id].operation])


def _revert_case(url: str, case_id: str, commands: int) -> None:
    with MongoClient[Any](url, event_listeners=[KillAt(commands)]) as client:
        db = client.get_default_database()
        runner = OperationRunner(db, transactions=supports_transactions(db))
        runner.revert(REVISION, UP, [CASES[case_id].operation])


def hang(db: Database[Any]) -> None:
    """A function of a script that does half its work, and no more."""
    db.log.insert_one({"_id": "half"})
    time.sleep(60)


class Life:
    """A process that runs or undoes operations, and tells each of its batches."""

    def __init__(self, url: str, *operations: Operation, undo: bool = False) -> None:
        self._told, telling = _processes.Pipe(duplex=False)
        self.process = _processes.Process(
            target=_live, args=(telling, url, operations, undo)
        )
        self.process.start()
        telling.close()

    def sees(self, batches: int) -> bool:
        """Wait for so many batches; return False if it came to its end before."""
        try:
            for _ in range(batches):
                self._told.recv()
        except EOFError:
            return False
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self._told.close()

    def end(self) -> None:
        """Wait for a process that came to its end; it must have gone well."""
        self.process.join()
        self._told.close()
        assert self.process.exitcode == 0


def _live(
    telling: Connection, url: str, operations: tuple[Operation, ...], undo: bool
) -> None:
    def tell(progress: Progress) -> None:
        telling.send(progress.done)

    with MongoClient[Any](url) as client:
        runner = OperationRunner(client.get_default_database(), on_progress=tell)
        work = runner.revert if undo else runner.run
        work(REVISION, UP, operations)


class Writer:
    """A process that inserts documents with `_id`s of all types, and updates some.

    What it inserts has `n` 0; each of its updates adds 1 to `theirs`. documents: those
    that are there, see `fill`.
    """

    def __init__(self, url: str, documents: int) -> None:
        self._told, telling = _processes.Pipe(duplex=False)
        self._ending = _processes.Event()
        self._process = _processes.Process(
            target=_write, args=(telling, url, documents, self._ending)
        )
        self._process.start()
        telling.close()

    def end(self) -> tuple[int, int]:
        """Stop it; return how many documents it inserted, and how often it updated."""
        self._ending.set()
        counts: tuple[int, int] = self._told.recv()
        self._process.join()
        self._told.close()
        return counts


def _write(telling: Connection, url: str, documents: int, ending: Any) -> None:
    chance, inserted, updated = random.Random(7), 0, 0
    with MongoClient[Any](url) as client:
        item = client.get_default_database().item
        while not ending.is_set():
            number = chance.randint(10**6, 10**9)
            ids = [number + 0.25, f"{number}w", {"n": number}, ObjectId(), -number]
            item.insert_one({"_id": chance.choice(ids), "n": 0})
            inserted += 1
            some = {"_id": 8 * chance.randrange(documents // 8)}
            updated += item.update_one(some, {"$inc": {"theirs": 1}}).matched_count
            time.sleep(0.002)
    telling.send((inserted, updated))
