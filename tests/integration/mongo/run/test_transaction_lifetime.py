"""A transaction that lives longer than the server lets it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from pymongo.errors import PyMongoError

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.ops import Run, Transform, Update
from tests.support.bad_servers import GuardedMongo
from tests.support.mongo.runs import Db, revert, run

_LIMIT = "transactionLifetimeLimitSeconds"


@pytest.fixture(name="db")
def short_lived(guarded_mongo: GuardedMongo) -> Iterator[Db]:
    """A database of 40 documents, on a server that ends a transaction after 1 s."""
    with guarded_mongo.root() as client:
        limit: dict[str, Any] = {_LIMIT: 1}
        before = client.admin.command("setParameter", 1, **limit)["was"]
        db = client[f"test_{uuid4().hex}"]
        db.t.insert_many([{"_id": number, "n": 0} for number in range(40)])
        yield db
        client.drop_database(db.name)
        client.admin.command("setParameter", 1, **{**limit, _LIMIT: before})


def test_a_function_that_outlives_its_transaction_is_called_once(db: Db) -> None:
    calls = []

    def slow(db: Db, session: Any) -> None:
        calls.append(time.monotonic())
        db.t.update_many({}, {"$inc": {"n": 1}}, session=session)
        time.sleep(2.5)
        db.t.update_many({}, {"$inc": {"n": 1}}, session=session)

    with pytest.raises(OperationError, match=f"after 1 s .{_LIMIT}.") as caught:
        run(db, Run(slow, transactional=True))
    assert len(calls) == 1
    assert caught.value.exit_code == 1
    assert "batch_size" in str(caught.value)
    assert db.t.count_documents({"n": 0}) == 40


def test_a_function_whose_transaction_died_before_its_commit_is_called_once(
    db: Db,
) -> None:
    calls = []

    def slow(db: Db, session: Any) -> None:
        calls.append(db.t.update_many({}, {"$inc": {"n": 1}}, session=session))
        if len(calls) == 1:
            session.client.admin.command("killSessions", [dict(session.session_id)])
        time.sleep(1.2)

    with pytest.raises(OperationError, match=_LIMIT):
        run(db, Run(slow, transactional=True))
    assert len(calls) == 1


def test_a_batch_that_outlives_its_transaction_is_made_smaller_undoing_too(
    db: Db,
) -> None:
    def by(number: int) -> Any:
        def slow(document: dict[str, Any]) -> dict[str, Any]:
            time.sleep(0.06)
            return {**document, "n": document["n"] + number}

        return slow

    quick = Transform("t", lambda doc: {**doc, "n": doc["n"] + 1}, undo=by(-1))
    run(db, quick)
    assert revert(db, quick).undone == (0,)
    assert db.t.count_documents({"n": 0}) == 40
    assert run(db, Transform("t", by(1), keep=True)).steps[0].documents == 40
    assert db.t.count_documents({"n": 1}) == 40


def test_one_document_that_outlives_its_transaction_is_told(db: Db) -> None:
    db.t.delete_many({"_id": {"$gt": 0}})

    def slow(document: dict[str, Any]) -> dict[str, Any]:
        time.sleep(2.5)
        return {**document, "n": 1}

    with pytest.raises(OperationError, match=_LIMIT):
        run(db, Transform("t", slow))
    assert db.t.find_one({}) == {"_id": 0, "n": 0}


def test_the_transaction_of_a_dead_client_that_nobody_ends_is_waited_for(
    db: Db,
) -> None:
    with db.client.start_session() as orphan:
        orphan.start_transaction()
        db.t.update_many({}, {"$set": {"n": 7}}, session=orphan)
        result = run(db, Update("t", {}, {"$inc": {"n": 1}}))
        with suppress(PyMongoError):
            orphan.abort_transaction()
    assert result.steps[0].documents == db.t.count_documents({"n": 1}) == 40
