"""Batches in a collection that is in use: what is inserted, changed and deleted."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.backend import Progress
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    AddField,
    CopyField,
    Delete,
    DropField,
    Operation,
    Transform,
    Update,
)
from tests.support.mongo.runs import (
    REVISION,
    UP,
    image,
    revert,
    run,
    run_stopped,
    settle,
)

Db = Database[Any]


def plus_one(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "n": document["n"] + 1}


def minus_one(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "n": document["n"] - 1}


INC, DEC = {"$inc": {"n": 1}}, {"$inc": {"n": -1}}
PLUS_ONE: dict[str, Operation] = {
    "update": Update("item", {}, INC, batch_size=10),
    "update with undo": Update("item", {}, INC, undo=DEC, batch_size=10),
    "update that keeps": Update("item", {}, INC, keep=True, batch_size=10),
    "update by pipeline": Update(
        "item", {}, ({"$set": {"n": {"$add": ["$n", 1]}}},), batch_size=10
    ),
    "transform": Transform("item", plus_one, undo=minus_one, batch_size=10),
}
"""Operations that do harm if a document meets them twice."""

every_plus_one = pytest.mark.parametrize(
    "operation", PLUS_ONE.values(), ids=list(PLUS_ONE)
)


class Insert:
    """A `keep_going` that lets an app insert, at some of the batches."""

    def __init__(self, insert: Callable[[int], None]) -> None:
        self._insert = insert
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        self._insert(self.calls)


def fill(db: Db, documents: int, *, of: str = "item") -> None:
    db[of].insert_many([{"_id": 10 * n, "n": 0} for n in range(documents)])


def counts(db: Db) -> dict[int, int]:
    """Return value of `n` -> how many documents have it."""
    found = db.item.aggregate([{"$group": {"_id": "$n", "count": {"$sum": 1}}}])
    return {each["_id"]: each["count"] for each in found}


@every_plus_one
def test_a_document_inserted_behind_the_walk_is_written_once(
    mongo_db: Db, operation: Operation
) -> None:
    fill(mongo_db, 50)

    def insert(call: int) -> None:
        if call < 6:  # below where the walk has come to, and between
            mongo_db.item.insert_many(
                [{"_id": -call, "n": 0}, {"_id": 10 * call + 1, "n": 0}]
            )

    runner = OperationRunner(mongo_db, keep_going=Insert(insert))
    (step,) = runner.run(REVISION, UP, [operation]).steps

    assert counts(mongo_db) == {1: 60}
    assert step.documents == 60


def test_an_insert_is_found_although_a_delete_made_up_for_it(mongo_db: Db) -> None:
    fill(mongo_db, 30)

    def exchange(call: int) -> None:
        if call == 3:
            mongo_db.item.delete_one({"_id": 10})
            mongo_db.item.insert_one({"_id": 11, "n": 0})

    runner = OperationRunner(mongo_db, keep_going=Insert(exchange))
    runner.run(REVISION, UP, [Update("item", {}, INC, batch_size=10)])

    assert counts(mongo_db) == {1: 30}


@every_plus_one
def test_a_run_stopped_while_it_catches_up_is_carried_on(
    mongo_db: Db, operation: Operation
) -> None:
    for calls in range(2, 40):
        mongo_db.client.drop_database(mongo_db.name)
        fill(mongo_db, 30)
        stopped = run_stopped(mongo_db, calls, operation)
        mongo_db.item.insert_many([{"_id": -1, "n": 0}, {"_id": 5, "n": 0}])
        run(mongo_db, operation)
        if not stopped:
            assert counts(mongo_db) == {1: 30, 0: 2}
            return
        assert counts(mongo_db) == {1: 32}, f"stopped after {calls}"
    raise AssertionError("It never came to its end")


def test_what_was_caught_up_is_undone_too(mongo_db: Db) -> None:
    fill(mongo_db, 30)
    operation = PLUS_ONE["update with undo"]
    assert run_stopped(mongo_db, 4, operation)
    mongo_db.item.insert_one({"_id": -1, "n": 0})
    run(mongo_db, operation)
    assert counts(mongo_db) == {1: 31}

    assert revert(mongo_db, operation).stuck is None

    assert counts(mongo_db) == {0: 31}


@pytest.mark.parametrize(
    "operation",
    [
        AddField("item", "twice", using={"$multiply": ["$n", 2]}, batch_size=10),
        CopyField("item", "n", "twice", overwrite=True, batch_size=10),
    ],
    ids=["add_field", "copy_field"],
)
def test_a_computed_field_reaches_what_was_inserted_meanwhile(
    mongo_db: Db, operation: Operation
) -> None:
    fill(mongo_db, 30)

    def insert(call: int) -> None:
        if call == 4:
            mongo_db.item.insert_one({"_id": -1, "n": 7})

    runner = OperationRunner(mongo_db, keep_going=Insert(insert))
    runner.run(REVISION, UP, [operation])

    assert mongo_db.item.count_documents({"twice": {"$exists": True}}) == 31


def test_an_update_that_leaves_its_own_filter_remembers_no_documents(
    mongo_db: Db,
) -> None:
    fill(mongo_db, 30)
    operation = Update(
        "item", {"state": {"$exists": False}}, {"$set": {"state": 1}, **INC}
    )
    run(mongo_db, operation)
    assert counts(mongo_db) == {1: 30}
    assert mongo_db["_migrations_touched"].count_documents({}) == 0


def test_a_filter_that_a_collation_widens_is_not_taken_to_exclude(
    mongo_db: Db,
) -> None:
    insensitive = {"locale": "en", "strength": 2}
    mongo_db.create_collection("item", collation=insensitive)
    mongo_db.item.insert_many([{"state": "NEW", "n": 0} for _ in range(30)])
    operation = Update(
        "item", {"state": "NEW"}, {"$set": {"state": "new"}, **INC}, batch_size=10
    )
    run(mongo_db, operation)
    assert counts(mongo_db) == {1: 30}


@contextmanager
def writing(db: Db, write: Callable[[Db, int], object]) -> Iterator[list[int]]:
    """Let a client of its own write over and over; yields the numbers it wrote."""
    stopped, done = threading.Event(), list[int]()
    client: MongoClient[Any] = MongoClient(*db.client.address or ())

    def loop() -> None:
        while not stopped.is_set():
            write(client[db.name], len(done))
            done.append(len(done))

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield done
    finally:
        stopped.set()
        thread.join()
        client.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_writes_of_the_app_are_kept_beside_ours(mongo_db: Db, workers: int) -> None:
    fill(mongo_db, 6000)

    def write(db: Db, number: int) -> None:
        db.item.update_one({"_id": 10 * (number * 7 % 6000)}, {"$inc": {"theirs": 1}})

    with writing(mongo_db, write) as done:
        run(mongo_db, Update("item", {}, INC, workers=workers))

    assert counts(mongo_db) == {1: 6000}
    total = {"$group": {"_id": None, "sum": {"$sum": "$theirs"}}}
    assert next(mongo_db.item.aggregate([total]))["sum"] == len(done) > 0


WORKERS = 3
BY_WORKERS: dict[str, Operation] = {
    "add_field": AddField("item", "a", default=1, batch_size=100, workers=WORKERS),
    "drop_field": DropField("item", "n", batch_size=100, workers=WORKERS),
    "update": Update("item", {}, INC, undo=DEC, batch_size=100, workers=WORKERS),
    "update that keeps": Update(
        "item", {}, INC, keep=True, batch_size=100, workers=WORKERS
    ),
    "transform": Transform(
        "item", plus_one, undo=minus_one, batch_size=100, workers=WORKERS
    ),
    "delete": Delete("item", {"_id": {"$gte": 500}}, batch_size=100, workers=WORKERS),
}
by_workers = pytest.mark.parametrize(
    "operation", BY_WORKERS.values(), ids=list(BY_WORKERS)
)


def in_one(operation: Operation) -> Operation:
    return dataclasses.replace(operation, **{"workers": 1})


@by_workers
def test_workers_do_what_one_does(mongo_db: Db, operation: Operation) -> None:
    fill(mongo_db, 3000)
    before = image(mongo_db)
    (step,) = run(mongo_db, operation).steps
    after = image(mongo_db)
    assert revert(mongo_db, operation).stuck is None
    assert image(mongo_db) == before

    (alone,) = run(mongo_db, in_one(operation)).steps

    assert image(mongo_db) == after
    assert step.documents == alone.documents


@by_workers
@pytest.mark.parametrize("calls", [2, 9, 25, 33])
def test_workers_that_were_stopped_are_carried_on(
    mongo_db: Db, operation: Operation, calls: int
) -> None:
    fill(mongo_db, 3000)
    run(mongo_db, in_one(operation))
    expected = image(mongo_db)
    mongo_db.client.drop_database(mongo_db.name)
    fill(mongo_db, 3000)

    assert run_stopped(mongo_db, calls, operation)
    run(mongo_db, operation)

    assert image(mongo_db) == expected
    settle(mongo_db)
    assert mongo_db["_migrations_steps"].count_documents({"_id.step": 0}) == 0


@by_workers
@pytest.mark.parametrize("calls", [9, 25, 33])
def test_workers_that_were_stopped_are_undone(
    mongo_db: Db, operation: Operation, calls: int
) -> None:
    fill(mongo_db, 3000)
    before = image(mongo_db)
    assert run_stopped(mongo_db, calls, operation)

    assert revert(mongo_db, operation).stuck is None

    assert image(mongo_db) == before
    run(mongo_db, operation)  # begins anew


def test_another_number_of_workers_carries_on_with_the_parts_there_are(
    mongo_db: Db,
) -> None:
    fill(mongo_db, 3000)
    assert run_stopped(mongo_db, 9, Update("item", {}, INC, batch_size=100, workers=3))
    run(mongo_db, Update("item", {}, INC, batch_size=100, workers=2))
    assert counts(mongo_db) == {1: 3000}


def test_the_error_of_one_worker_stops_the_others_and_is_told(mongo_db: Db) -> None:
    fill(mongo_db, 6000)

    def broken(document: dict[str, Any]) -> dict[str, Any]:
        if document["_id"] == 0:
            raise ValueError("no such thing")
        return plus_one(document)

    operation = Transform("item", broken, batch_size=10, workers=3)
    with pytest.raises(Exception, match="no such thing"):
        run(mongo_db, operation)
    assert counts(mongo_db).get(1, 0) < 5000


def test_the_progress_of_workers_is_that_of_all_together(mongo_db: Db) -> None:
    fill(mongo_db, 3000)
    told: list[Progress] = []
    runner = OperationRunner(mongo_db, on_progress=told.append)
    runner.run(REVISION, UP, [Update("item", {}, INC, batch_size=100, workers=3)])
    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert done[-1] == 3000
    assert {progress.total for progress in told[1:]} == {3000}


def test_the_batches_of_an_update_go_by_the_size_of_the_documents(mongo_db: Db) -> None:
    mongo_db.item.insert_many([{"n": 0, "text": "x" * 4_000_000} for _ in range(20)])
    run(mongo_db, Update("item", {}, INC))
    (record,) = OperationRunner(mongo_db).records(REVISION, UP)
    assert (record.documents, record.batches) == (20, 2)
    assert counts(mongo_db) == {1: 20}


class Writer:
    """A `keep_going` beside which an app inserts documents without the field."""

    def __init__(self, db: Db) -> None:
        self._item, self.written = db.item, 0

    def __call__(self) -> None:
        self._item.insert_one({"old": self.written})
        self.written += 1


@pytest.mark.parametrize("count", [0, 25])
def test_a_walk_ends_beside_an_app_that_goes_on_writing(
    mongo_db: Db, count: int
) -> None:
    mongo_db.item.insert_many(
        [{"old": n} for n in range(25)][:count] or [{"new": n} for n in range(25)]
    )
    before = {each["_id"]: each for each in mongo_db.item.find()}
    operation, writer = (
        AddField("item", "new", default=1, batch_size=10),
        Writer(mongo_db),
    )

    runner = OperationRunner(mongo_db, keep_going=writer)
    (step,) = runner.run(REVISION, UP, [operation]).steps

    lacking = mongo_db.item.count_documents({"new": {"$exists": False}})
    assert 0 < lacking < 5
    assert f"were written meanwhile still lack new: {lacking}" in step.notes[0]
    assert runner.revert(REVISION, UP, [operation]).stuck is None
    assert mongo_db.item.count_documents({}) == len(before) + writer.written
    assert mongo_db.item.count_documents({"old": {"$exists": True}, "new": 1}) == 0
    for _id, document in before.items():
        assert mongo_db.item.find_one({"_id": _id}) == document
