"""Every operation on MongoDB, applied."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import uuid4

import pytest
from bson import Int64
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.backend import Progress
from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.operations.registry import HANDLERS
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    NOW,
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    Delete,
    DropCollection,
    DropField,
    DropIndex,
    Operation,
    RenameCollection,
    RenameField,
    SetValidator,
    Transform,
    Update,
)
from tests.support.mongo.cases import BATCH, CASES, Case
from tests.support.mongo.runs import REVISION, UP, image, run
from tests.support.mongo.seed import IDS, seed

Db = Database[Any]


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_an_operation_does_what_it_says(mongo_db: Db, case: Case) -> None:
    seed(mongo_db)
    run(mongo_db, case.operation)
    case.check(mongo_db)


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_an_operation_that_is_done_is_not_done_again(mongo_db: Db, case: Case) -> None:
    seed(mongo_db)
    run(mongo_db, case.operation)
    done = image(mongo_db)
    (step,) = run(mongo_db, case.operation).steps
    assert step.skipped
    assert image(mongo_db) == done


def test_the_table_has_every_operation() -> None:
    assert {type(case.operation) for case in CASES.values()} == set(HANDLERS)


@pytest.mark.parametrize(
    "operation",
    [
        AddField("nowhere", "status", default="new"),
        DropField("nowhere", "status"),
        RenameField("nowhere", "status", "state"),
        CopyField("nowhere", "status", "state"),
        ConvertField("nowhere", "status", to="int"),
        Update("nowhere", {}, {"$set": {"a": 1}}),
        Transform("nowhere", lambda doc: doc),
        Delete("nowhere", {}),
        DropCollection("nowhere"),
        RenameCollection("nowhere", "somewhere"),
        DropIndex("nowhere", "ix"),
        SetValidator("nowhere", None),
    ],
    ids=lambda operation: operation.verb,
)
def test_a_missing_collection_is_left_missing(
    mongo_db: Db, operation: Operation
) -> None:
    (step,) = run(mongo_db, operation).steps
    assert step.documents == 0
    assert image(mongo_db) == {}


@pytest.mark.parametrize(
    ("operation", "note"),
    [
        (DropCollection("nowhere"), "nowhere did not exist"),
        (RenameCollection("nowhere", "somewhere"), "nowhere did not exist"),
        (DropIndex("item", "ix_none"), "item had no index ix_none"),
    ],
    ids=lambda value: getattr(value, "verb", None),
)
def test_what_was_not_there_is_noted(
    mongo_db: Db, operation: Operation, note: str
) -> None:
    seed(mongo_db)
    (step,) = run(mongo_db, operation).steps
    assert step.notes == (note,)


def test_a_result_counts_the_documents_written(mongo_db: Db) -> None:
    seed(mongo_db)
    (step,) = run(mongo_db, AddField("item", "note", default=1, batch_size=3)).steps
    assert step.documents == mongo_db.item.count_documents({"note": 1}) == 8


def test_progress_is_told_batch_by_batch(mongo_db: Db) -> None:
    seed(mongo_db)
    told: list[Progress] = []
    runner = OperationRunner(mongo_db, on_progress=told.append)
    runner.run(REVISION, UP, [AddField("item", "a", default=1, batch_size=BATCH)])
    assert [progress.done for progress in told][-5:] == [4, 8, 12, 16, 16]
    last = dataclasses.replace(told[-1], rate=None)
    assert last == Progress(REVISION, 0, "add_field", "item", 16, len(IDS), ended=True)


def test_the_documents_of_every_type_of_id_are_walked(mongo_db: Db) -> None:
    seed(mongo_db)
    run(mongo_db, Update("item", {}, {"$inc": {"seen": 1}}, batch_size=1))
    assert mongo_db.item.distinct("seen") == [1]
    assert mongo_db.item.count_documents({"seen": 1}) == len(IDS)


def test_a_large_document_ends_its_batch_early(mongo_db: Db) -> None:
    mongo_db.big.insert_many(
        [{"_id": number, "text": "x" * 5_000_000} for number in range(4)]
    )
    told: list[Progress] = []
    runner = OperationRunner(mongo_db, on_progress=told.append)
    runner.run(REVISION, UP, [Delete("big", {})])
    assert [progress.done for progress in told] == [0, 0, 2, 4, 4]


def test_now_is_the_time_of_the_server(mongo_db: Db) -> None:
    seed(mongo_db)
    run(mongo_db, AddField("log", "made", default=NOW))
    (row,) = mongo_db.log.aggregate(
        [{"$sort": {"_id": 1}}, {"$limit": 1}, {"$set": {"now": "$$NOW"}}]
    )
    assert abs((row["now"] - row["made"]).total_seconds()) < 60


def test_a_default_that_looks_like_an_expression_is_taken_as_it_is(
    mongo_db: Db,
) -> None:
    seed(mongo_db)
    run(mongo_db, AddField("log", "price", default={"$sum": "$5.00"}))
    (row,) = mongo_db.log.find({"_id": 1}, {"price": {"$type": "$price"}})
    assert row["price"] == "object"


def test_an_embedded_field_is_not_written_over_a_value(mongo_db: Db) -> None:
    documents: list[dict[str, Any]] = [
        {"_id": 1, "a": 5},
        {"_id": 2, "a": None},
        {"_id": 3, "a": [{"b": 1}, {}]},
        {"_id": 4, "a": {}},
        {"_id": 5},
        {"_id": 6, "a": {"b": None}},
    ]
    mongo_db.t.insert_many(documents)
    add = AddField("t", "a.b", default=0)
    for said, number in (("an array", 2), ("a value that is not a document", 0)):
        with pytest.raises(OperationError, match=rf"1 document of t has {said} .*a\.b"):
            run(mongo_db, add)
        assert list(mongo_db.t.find().sort("_id")) == documents
        mongo_db.t.delete_one({"_id": documents.pop(number)["_id"]})
    (step,) = run(mongo_db, add).steps
    filled = [{"_id": 4, "a": {"b": 0}}, {"_id": 5, "a": {"b": 0}}]
    assert list(mongo_db.t.find().sort("_id")) == [
        documents[0],
        *filled,
        documents[3],
    ]
    assert step.notes == ("1 document of t has null above it and remains without a.b",)


def test_names_with_dollars_and_dots_survive_a_rename(mongo_db: Db) -> None:
    document = {"_id": 1, "a": 1, "$b": {"x.y": 2}, "c.d": [3], "é ü": Int64(4)}
    mongo_db.t.insert_one(document)
    run(mongo_db, RenameField("t", "a", "z"))
    (found,) = mongo_db.t.find()
    assert list(found.items()) == [
        ("_id", 1),
        ("z", 1),
        ("$b", {"x.y": 2}),
        ("c.d", [3]),
        ("é ü", 4),
    ]


def test_a_transform_sees_the_documents_as_the_app_does(mongo_url: str) -> None:
    with MongoClient[Any](mongo_url, uuidRepresentation="standard") as client:
        db, key = client.get_default_database(), uuid4()
        db.t.insert_one({"_id": 1, "key": key})
        run(db, Transform("t", lambda doc: {**doc, "also": doc["key"]}))
        assert db.t.find_one() == {"_id": 1, "key": key, "also": key}


def test_documents_inserted_behind_the_walk_are_caught_up(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"_id": number} for number in range(10, 20)])
    told: list[Progress] = []

    def app_writes(progress: Progress) -> None:
        told.append(progress)
        if progress.done == 4:
            mongo_db.t.insert_one({"_id": 1})

    runner = OperationRunner(mongo_db, on_progress=app_writes)
    runner.run(REVISION, UP, [AddField("t", "a", default=0, batch_size=2)])
    assert mongo_db.t.count_documents({"a": 0}) == 11


@pytest.mark.parametrize(
    "options",
    [{"capped": True, "size": 4096}, {"timeseries": {"timeField": "at"}}],
    ids=["capped", "time-series"],
)
def test_a_collection_that_is_there_and_of_another_kind_is_refused(
    mongo_db: Db, options: dict[str, Any]
) -> None:
    mongo_db.create_collection("made", **options)
    with pytest.raises(OperationError, match="made already exists, with"):
        run(mongo_db, CreateCollection("made"))


def test_a_collection_that_is_there_with_the_options_asked_for_is_fine(
    mongo_db: Db,
) -> None:
    options: dict[str, Any] = {
        "capped": True,
        "size": 1000,
        "collation": {"locale": "de"},
    }
    mongo_db.create_collection("made", **options)
    run(mongo_db, CreateCollection("made", options))
    assert mongo_db.made.options()["capped"]


def test_a_transform_that_returns_no_document_is_told_where(mongo_db: Db) -> None:
    seed(mongo_db)

    def wrong(document: dict[str, Any]) -> Any:
        return 5

    problem = r"transform\(\) of log returned 5 for the document with _id 0"
    with pytest.raises(OperationError, match=problem):
        run(mongo_db, Transform("log", wrong))


def test_the_progress_of_an_undoing_says_so_and_grows(mongo_db: Db) -> None:
    seed(mongo_db)
    operation = AddField("item", "a", default=1, batch_size=BATCH)
    run(mongo_db, operation)
    told: list[Progress] = []
    OperationRunner(mongo_db, on_progress=told.append).revert(REVISION, UP, [operation])
    assert {progress.verb for progress in told} == {"undo add_field"}
    assert [progress.done for progress in told] == [4, 8, 12, 16, 16]
    assert {progress.total for progress in told} == {16}
