"""op.run: functions of a script, with the app's database."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from flask_dualmigrate.errors import DatabaseUnavailable, OperationError
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import CreateCollection, Run
from tests.support.mongo.runs import REVISION, UP, image, revert, run, run_stopped

Db = Database[Any]


def test_a_function_gets_the_database_of_the_app(mongo_db: Db) -> None:
    got: list[Any] = []
    run(mongo_db, Run(got.append))
    assert got == [mongo_db]
    assert got[0] is mongo_db


def test_a_function_in_a_transaction_that_raises_writes_nothing(mongo_db: Db) -> None:
    def half(db: Db, session: ClientSession) -> None:
        db.t.insert_one({"_id": 1}, session=session)
        raise ValueError("no")

    mongo_db.create_collection("t")
    with pytest.raises(OperationError, match=r"run\(half\) raised ValueError: no"):
        run(mongo_db, Run(half, transactional=True))
    assert mongo_db.t.count_documents({}) == 0


def test_a_function_in_a_transaction_is_called_again_after_a_write_conflict(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_one({"_id": 1, "n": 0})
    calls: list[int] = []

    def add(db: Db, session: ClientSession) -> None:
        calls.append(1)
        db.t.find_one({"_id": 1}, session=session)
        if len(calls) == 1:  # the app writes the same document meanwhile
            db.t.update_one({"_id": 1}, {"$inc": {"n": 10}})
        db.t.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session)

    run(mongo_db, Run(add, transactional=True))
    assert (len(calls), mongo_db.t.distinct("n")) == (2, [11])


def test_a_function_in_a_transaction_that_never_ran_needs_no_undo(
    mongo_db: Db,
) -> None:
    def fails(db: Db, session: ClientSession) -> None:
        raise ValueError

    with pytest.raises(OperationError):
        run(mongo_db, Run(fails, transactional=True))
    assert revert(mongo_db, Run(fails, transactional=True)).undone == (0,)


def test_the_undo_function_of_one_that_raised_is_called(mongo_db: Db) -> None:
    def half(db: Db) -> None:
        db.t.insert_one({"_id": 1})
        raise ValueError

    operation = Run(half, undo=lambda db: db.t.drop())
    with pytest.raises(OperationError):
        run(mongo_db, operation)
    assert revert(mongo_db, operation).stuck is None
    assert image(mongo_db) == {}


def test_an_idempotent_function_is_called_again_after_a_crash(mongo_db: Db) -> None:
    calls: list[int] = []

    def crashes_once(db: Db) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(mongo_db, Run(crashes_once, idempotent=True))
    run(mongo_db, Run(crashes_once, idempotent=True))
    assert len(calls) == 2


def test_a_function_in_a_transaction_runs_once_over_a_stop(mongo_db: Db) -> None:
    mongo_db.t.insert_one({"_id": 1, "n": 0})

    def add(db: Db, session: ClientSession) -> None:
        db.t.update_one({}, {"$inc": {"n": 1}}, session=session)

    operations = [Run(add, transactional=True), CreateCollection("made")]
    for calls in range(1, 4):
        run_stopped(mongo_db, calls, *operations)
    run(mongo_db, *operations)
    assert mongo_db.t.distinct("n") == [1]


def test_an_async_function_gets_an_async_database(mongo_db: Db, mongo_url: str) -> None:
    async def fill(db: AsyncDatabase[Any]) -> None:
        await db.t.insert_one({"_id": 1, "name": db.name})

    runner = OperationRunner(mongo_db)
    runner.run(REVISION, UP, [Run(fill)])
    assert mongo_db.t.find_one() == {"_id": 1, "name": mongo_db.name}


def test_what_an_async_function_raises_is_told_like_any_other(
    mongo_db: Db, mongo_url: str
) -> None:
    async def fails(db: AsyncDatabase[Any]) -> None:
        raise ValueError("later")

    runner = OperationRunner(mongo_db)
    with pytest.raises(OperationError, match=r"run\(fails\) raised ValueError: later"):
        runner.run(REVISION, UP, [Run(fails)])


def test_a_connection_lost_inside_a_function_leaves_it_in_doubt(mongo_db: Db) -> None:
    def loses(db: Db) -> None:
        raise AutoReconnect("connection closed")

    with pytest.raises(DatabaseUnavailable):
        run(mongo_db, Run(loses))
    (record,) = OperationRunner(mongo_db).records(REVISION, UP)
    assert record.error is None


def test_a_driver_error_inside_a_function_keeps_its_cause(mongo_db: Db) -> None:
    def doubles(db: Db) -> None:
        db.t.insert_one({"_id": 1})
        db.t.insert_one({"_id": 1})

    with pytest.raises(OperationError, match=r"refused a second document") as caught:
        run(mongo_db, Run(doubles))
    assert type(caught.value.__cause__).__name__ == "DuplicateKeyError"
