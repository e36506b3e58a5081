"""A worker that is stopped for longer than its lease writes nothing after that.

MongoDB is used alone: beside PostgreSQL, whose lock a stopped process keeps, nobody
takes over.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate import init
from flask_dualmigrate.mongo.lock import watchdog
from flask_dualmigrate.mongo.lock.lock import MongoLock
from tests.integration.conftest import Tree
from tests.support.crash.trees import CHAOS_DOCUMENTS, seed_many, write_long
from tests.support.mongo.members import standalone, until
from tests.support.nursery import KILLED, Command, Nursery
from tests.support.snapshots import mongo_snapshot

Db = Database[dict[str, Any]]
LEASE_S = 1.5
UP = ("upgrade", "--yes")

needs_watchdog = pytest.mark.skipif(
    watchdog._LIBRARY is None, reason="this system has no timer that kills"
)


@dataclasses.dataclass(frozen=True)
class Crew:
    """Starts commands on MongoDB alone, in processes that can be stopped."""

    nursery: Nursery
    root: Path
    url: str

    @property
    def said(self) -> Path:
        return self.root.parent / "said"

    def start(self, *words: str, **options: Any) -> int:
        command = Command(
            words,
            str(self.root),
            "postgresql+psycopg://127.0.0.1:9/nowhere",
            self.url,
            str(self.said),
            config={"DUALMIGRATE_LOCK_LEASE_S": LEASE_S},
            active="mongo",
            **options,
        )
        return self.nursery.start(command)

    def run(self, *words: str) -> None:
        pid = self.start(*words)
        assert self.nursery.wait(pid, timeout_s=60) == 0, self.said.read_text()

    def end_of(self, pid: int) -> int | None:
        return self.nursery.wait(pid, timeout_s=60)


@pytest.fixture
def crew(nursery: Nursery, app: Flask, tree: Tree, mongo_url: str) -> Crew:
    return Crew(nursery, tree.root, mongo_url)


def has_stopped(pid: int) -> bool:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0] == "T"


@pytest.mark.slow
@pytest.mark.parametrize("after", [25, 500, 1200])
def test_a_worker_that_wakes_after_its_lease_is_gone_writes_nothing(
    crew: Crew, tree: Tree, mongo_db: Db, after: int
) -> None:
    """By its token alone, as where no kernel kills it."""
    write_long(tree)
    init()
    seed_many(mongo_db)
    late = crew.start(*UP, watchdog=False)
    until(lambda: mongo_db.item.count_documents({"grown": 1}) >= after)
    os.kill(late, signal.SIGSTOP)
    crew.run(*UP)
    assert mongo_db.item.count_documents({"grown": 1, "old": None}) == CHAOS_DOCUMENTS
    before = mongo_snapshot(mongo_db, ours=True)
    os.kill(late, signal.SIGCONT)
    assert crew.end_of(late) == 5, crew.said.read_text()
    assert mongo_snapshot(mongo_db, ours=True) == before


DDL = {
    "create": 'op.create_collection("made")',
    "renameCollection": 'op.rename_collection("item", "items")',
    "drop": 'op.drop_collection("item")',
    "collMod": 'op.set_validator("item", {"n": {"$gte": 0}})',
    "createIndexes": 'op.create_index("item", [("n", 1)], name="ix_n")',
    "dropIndexes": 'op.drop_index("item", "ix_old")',
}
UNDOES = {
    "create": 'op.drop_collection("made")',
    "renameCollection": 'op.rename_collection("items", "item")',
    "drop": 'op.create_collection("item")',
    "collMod": 'op.set_validator("item", None)',
    "createIndexes": 'op.drop_index("item", "ix_n")',
    "dropIndexes": 'op.create_index("item", [("old", 1)], name="ix_old")',
}
SENT = {name: name for name in DDL} | {"drop": "renameCollection"}
"""What an operation sends: what is dropped is renamed aside."""


@needs_watchdog
@pytest.mark.parametrize("name", DDL)
def test_a_command_about_to_be_sent_when_the_lease_ends_is_never_sent(
    crew: Crew, tree: Tree, mongo_db: Db, name: str
) -> None:
    """Others have been up and down again meanwhile, so that it could do harm."""
    tree.add("r1", mongo=DDL[name], mongo_down=UNDOES[name])
    init()
    mongo_db.item.insert_many([{"_id": n, "n": n, "old": f"o{n}"} for n in range(9)])
    mongo_db.item.create_index("old", name="ix_old")
    late = crew.start(*UP, stops_at=SENT[name])
    until(lambda: has_stopped(late))
    crew.run(*UP)
    crew.run("downgrade", "base", "--yes")
    before = mongo_snapshot(mongo_db, ours=True)
    assert crew.end_of(late) == KILLED, crew.said.read_text()
    assert mongo_snapshot(mongo_db, ours=True) == before


STOPS_ITSELF = """
import os, signal

def grow(db):
    mark = db.calls.find_one_and_update({"_id": "grow"}, {"$inc": {"begun": 1}})
    if mark["begun"] == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    db.calls.update_one({"_id": "grow"}, {"$set": {"done": True}, "$inc": {"n": 1}})
"""


@needs_watchdog
def test_a_function_of_a_script_does_not_outlive_the_lease(
    crew: Crew, tree: Tree, mongo_db: Db
) -> None:
    tree.add("r1", mongo="op.run(grow, idempotent=True)", mongo_more=STOPS_ITSELF)
    init()
    mongo_db.calls.insert_one({"_id": "grow", "begun": 0, "n": 0})
    late = crew.start(*UP)
    until(lambda: has_stopped(late))
    crew.run(*UP)
    assert crew.end_of(late) == KILLED, crew.said.read_text()
    found = mongo_db.calls.find_one()
    assert found == {"_id": "grow", "begun": 2, "n": 1, "done": True}


GOES_ON = """
import time

def grow(db):
    while True:
        db.calls.update_one({"_id": "grow"}, {"$inc": {"n": 1}})
        time.sleep(0.01)
"""


@needs_watchdog
def test_a_function_at_work_ends_when_the_lock_is_taken_from_it(
    crew: Crew, tree: Tree, mongo_db: Db
) -> None:
    tree.add("r1", mongo="op.run(grow, idempotent=True)", mongo_more=GOES_ON)
    init()
    mongo_db.calls.insert_one({"_id": "grow", "n": 0})
    late = crew.start(*UP)
    until(lambda: mongo_db.calls.count_documents({"n": {"$gt": 3}}))
    lock = MongoLock(mongo_db, lease_s=30)
    holder = lock.holder()
    assert holder is not None
    assert lock.free(holder)
    assert crew.end_of(late) == KILLED
    assert "is killed now, unless the function ends before" in crew.said.read_text()


HOLD = """
import sys, time
from pymongo import MongoClient
from flask_dualmigrate.errors import LockLost
from flask_dualmigrate.mongo.lock.lock import MongoLock

db = MongoClient(sys.argv[1]).get_default_database()
lock = MongoLock(db, lease_s=1.5)
with lock.held(timeout_s=5, on_wait=print):
    print("held", flush=True)
    try:
        while True:
            lock.require()
            time.sleep(0.02)
    except LockLost as error:
        print(error, flush=True)
        time.sleep(3)
"""


@pytest.fixture
def alone(folder: Path) -> Iterator[tuple[str, Callable[[signal.Signals], None]]]:
    """The URI of a server of the test's own, and what sends it a signal."""
    with standalone(folder) as uri:
        with MongoClient[dict[str, Any]](uri) as client:
            pid = client.admin.command("serverStatus")["pid"]
        yield uri, lambda which: os.kill(pid, which)


def test_a_run_at_work_that_cannot_renew_its_lease_is_told_and_lives(
    alone: tuple[str, Callable[[signal.Signals], None]],
) -> None:
    uri, send = alone
    words = [sys.executable, "-c", HOLD, uri]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        send(signal.SIGSTOP)
        try:
            assert "The lock on MongoDB was lost" in process.stdout.readline()
        finally:
            send(signal.SIGCONT)
        assert process.wait(60) == 0
