"""A filter that lists many `_id`s, which each batch is sent its part of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from flask_dualmigrate.ops import Delete, Operation, Transform, Update
from tests.support.mongo.proxies import Wire, wired
from tests.support.mongo.runs import Db, revert, run

WANTED = [*range(1, 40_000, 2)]
FILTER = {"_id": {"$in": WANTED}, "n": {"$gte": 0}}
DONE = {"_id": {"$mod": [2, 1]}, "n": 1}


@pytest.fixture(name="far")
def far_fixture(mongo_url: str) -> Iterator[tuple[Db, Wire]]:
    """Five thousand documents behind a wire; half of them are listed, and many more."""
    with wired(mongo_url) as (uri, wire), MongoClient[Any](uri) as client:
        db = client.get_default_database()
        db.t.insert_many([{"_id": number, "n": 0} for number in range(5000)])
        wire.bytes_sent = 0
        yield db, wire


def by_one(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "n": document["n"] + 1}


OPERATIONS: dict[str, Operation] = {
    "update": Update("t", FILTER, {"$inc": {"n": 1}}, keep=True, batch_size=100),
    "in parts": Update(
        "t", FILTER, {"$inc": {"n": 1}}, undo={"$inc": {"n": -1}}, workers=2
    ),
    "transform": Transform("t", by_one, filter=FILTER, keep=True, batch_size=100),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_each_listed_document_is_written_once(
    far: tuple[Db, Wire], operation: Operation
) -> None:
    db, _ = far
    assert run(db, operation).steps[0].documents == 2500
    assert db.t.count_documents(DONE) == db.t.count_documents({"n": 1}) == 2500
    assert revert(db, operation).undone == (0,)
    assert db.t.count_documents({"n": 0}) == 5000


def test_a_long_list_is_not_sent_with_each_batch(far: tuple[Db, Wire]) -> None:
    db, wire = far
    run(db, Delete("t", FILTER, keep=False, batch_size=50))
    assert db.t.count_documents({}) == db.t.count_documents({"_id": {"$mod": [2, 0]}})
    assert wire.seen["delete"] >= 50
    assert wire.bytes_sent < 8 * len(bson.encode(FILTER))
