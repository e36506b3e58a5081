"""A backfill under siege: killed, its primary lost, its collection in use.

The update is one that does harm where a document meets it twice or never. Each test
says how often what happened; nothing may be lost or doubled.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.errors import DatabaseUnavailable
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import Update
from tests.conftest import place
from tests.integration.mongo.run.test_kill import fill
from tests.support.mongo.killed import Life, Writer
from tests.support.mongo.members import ReplicaSet, replica_set, until
from tests.support.mongo.runs import REVISION, UP, run

Db = Database[Any]

DOCUMENTS = 50_000
STEP_DOWNS = 10


def backfill(*, batch_size: int, workers: int = 1) -> Update:
    return Update(
        "item", {}, {"$inc": {"n": 1}}, batch_size=batch_size, workers=workers
    )


def assert_each_once(db: Db) -> int:
    """See that every document was updated once; return how many there are."""
    found = db.item.aggregate([{"$group": {"_id": "$n", "count": {"$sum": 1}}}])
    counts = {each["_id"]: each["count"] for each in found}
    assert set(counts) == {1}, counts
    return int(counts[1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("documents", "wanted", "workers"),
    [
        pytest.param(15_000, 30, 1, id="thirty kills"),
        pytest.param(DOCUMENTS, 100, 1, id="a hundred", marks=pytest.mark.chaos),
        pytest.param(DOCUMENTS, 100, 2, id="two workers", marks=pytest.mark.chaos),
    ],
)
def test_kills_lose_and_double_none_of_the_documents_in_use(
    mongo_db: Db, mongo_url: str, documents: int, wanted: int, workers: int
) -> None:
    fill(mongo_db, documents)
    operation = backfill(batch_size=100, workers=workers)
    chance, kills = random.Random(workers), 0
    writer = Writer(mongo_url, documents)
    while kills < wanted:
        life = Life(mongo_url, operation)
        if life.sees(chance.randint(1, 4)):
            time.sleep(chance.uniform(0, 0.02))
        life.kill()
        kills += 1
    inserted, updated = writer.end()
    assert mongo_db.item.count_documents({"n": 0}) > 0, "It was done before the end"

    run(mongo_db, operation)

    assert assert_each_once(mongo_db) == documents + inserted
    theirs = {"$group": {"_id": None, "sum": {"$sum": "$theirs"}}}
    assert next(mongo_db.item.aggregate([theirs]))["sum"] == updated
    assert inserted > 100
    assert updated > 100


@pytest.fixture(scope="module")
def members() -> Iterator[ReplicaSet]:
    folder = Path(tempfile.mkdtemp(prefix="dualmigrate-", dir=place()))
    with replica_set(folder) as found:
        yield found
    shutil.rmtree(folder)


@pytest.fixture
def db(members: ReplicaSet) -> Iterator[Db]:
    members.wait_until_well()
    members.wait_for_primary()
    with MongoClient[Any](members.uri("siege")) as client:
        client.drop_database("siege")
        yield client["siege"]


def run_besieged(db: Db, operation: Update, blow: Callable[[], None]) -> int:
    """Run an operation while `blow` falls over and over; return how often it fell.

    A run that loses its connection for longer than the driver waits is run again.
    """
    done, blows = threading.Event(), 0
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not done.is_set():
                try:
                    OperationRunner(db).run(REVISION, UP, [operation])
                except DatabaseUnavailable:
                    continue
                done.set()
        except BaseException as error:
            errors.append(error)
            done.set()

    # A daemon: a test that fails must not wait for it.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while not done.wait(0.5):
            blow()
            blows += 1
    finally:
        done.set()  # after a failed blow the run would go on for ever
        thread.join(60)
    assert not errors, errors
    return blows


@pytest.mark.chaos
def test_ten_step_downs_of_the_primary_lose_and_double_nothing(
    members: ReplicaSet, db: Db
) -> None:
    fill(db, DOCUMENTS)
    blows = run_besieged(db, backfill(batch_size=50), members.step_down)
    assert assert_each_once(db) == DOCUMENTS
    assert blows >= STEP_DOWNS


@pytest.mark.chaos
def test_a_killed_primary_loses_and_doubles_nothing(
    members: ReplicaSet, db: Db
) -> None:
    fill(db, DOCUMENTS)

    def kill_and_start() -> None:
        member = members.wait_for_primary()
        member.kill()
        members.wait_for_primary()
        member.start()
        members.wait_until_well()

    operation = backfill(batch_size=25, workers=2)
    blows = run_besieged(db, operation, kill_and_start)
    assert assert_each_once(db) == DOCUMENTS
    assert blows >= 3


def test_batches_pause_while_a_secondary_is_too_far_behind(
    members: ReplicaSet, db: Db
) -> None:
    fill(db, 1000)
    primary = members.wait_for_primary()
    slow = next(each for each in members.members if each is not primary)
    runner = OperationRunner(db, replication_lag_s=2.0)
    thread = threading.Thread(
        target=runner.run,
        args=(REVISION, UP, [backfill(batch_size=10)]),
        daemon=True,
    )
    stop = ("configureFailPoint", "stopReplProducer")
    with slow.client() as client:
        client.admin.command(*stop, mode="alwaysOn")
        time.sleep(3.0)
        thread.start()
        until(lambda: db.item.count_documents({"n": 1}) > 0)
        time.sleep(1.5)
        paused_at = db.item.count_documents({"n": 1})
        time.sleep(1.5)
        assert db.item.count_documents({"n": 1}) - paused_at <= 10
        assert paused_at < 1000
        client.admin.command(*stop, mode="off")
    thread.join(60)
    assert assert_each_once(db) == 1000
