"""Operations on MongoDB that fail: what happened, where, and what to do next."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate.backend import Progress
from flask_dualmigrate.errors import DatabaseUnavailable, OperationError
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.mongo.server.transactions import supports_transactions
from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    CreateIndex,
    Delete,
    DropCollection,
    DropField,
    DropIndex,
    Insert,
    Operation,
    RenameCollection,
    RenameField,
    SetValidator,
    Transform,
    Update,
)
from tests.support.mongo.runs import REVISION, UP, image, revert, run

Db = Database[Any]
Seed = Callable[[Db], None]


def two(db: Db) -> None:
    db.t.insert_many([{"_id": 1, "a": "x", "b": 1}, {"_id": 2, "a": "x", "b": 2}])


def two_and_an_index(db: Db) -> None:
    two(db)
    db.t.create_index("a", name="ix_a")


def two_and_another(db: Db) -> None:
    two(db)
    db.create_collection("u")


def two_and_a_validator(db: Db) -> None:
    two(db)
    db.command("collMod", "t", validator={"b": {"$lt": 9}})


def a_view(db: Db) -> None:
    two(db)
    db.create_collection("v", viewOn="t", pipeline=[])


def a_time_series(db: Db) -> None:
    db.create_collection("s", timeseries={"timeField": "at"})


def a_capped_one(db: Db) -> None:
    db.create_collection("c", capped=True, size=4096)


REFUSALS: list[tuple[str, Seed, Operation, str]] = [
    (
        "unique index on doubles",
        two,
        CreateIndex("t", (("a", 1),), "ux_a", {"unique": True}),
        "The unique index ux_a of t cannot be built: at least two documents "
        "have {'a': 'x'}",
    ),
    (
        "index with a twin",
        two_and_an_index,
        CreateIndex("t", (("a", 1),), "ix_other"),
        "The index ix_other of t cannot be built: ix_a has the same key",
    ),
    (
        "index name taken",
        two_and_an_index,
        CreateIndex("t", (("b", 1),), "ix_a"),
        "t already has an index ix_a with a different definition: {'key': {'a': 1}}",
    ),
    (
        "index option unknown",
        two,
        CreateIndex("t", (("a", 1),), "ix_a", {"bogus": True}),
        "MongoDB refused it: Error in specification",
    ),
    (
        "index on _id",
        two,
        DropIndex("t", "_id_"),
        "The index on _id of t cannot be dropped",
    ),
    (
        "rename onto another collection",
        two_and_another,
        RenameCollection("t", "u"),
        "t cannot be renamed to u: the collection u already exists",
    ),
    (
        "rename over a field",
        two,
        RenameField("t", "a", "b"),
        "2 documents of t have both a and b: 1 (1), 2 (2)",
    ),
    (
        "rename into itself",
        two,
        RenameField("t", "a", "a.b"),
        "a.b and a are the same field, or one is inside the other",
    ),
    (
        "rename below a value",
        two,
        RenameField("t", "a", "b.c"),
        "2 documents of t have no document that could contain b.c: 1, 2",
    ),
    (
        "copy over a field",
        two,
        CopyField("t", "a", "b"),
        "2 documents of t have both a and b: 1 (1), 2 (2)",
    ),
    (
        "conversion that loses",
        two,
        ConvertField("t", "a", to="int"),
        "2 documents of t have a a that cannot be converted to int without loss: "
        "1 ('x'), 2 ('x')",
    ),
    (
        "insert of a double",
        two,
        Insert("t", ({"_id": 7}, {"_id": 1})),
        "A unique index refused a second document with {'_id': 1}",
    ),
    (
        "update against the validator",
        two_and_a_validator,
        Update("t", {}, {"$inc": {"b": 8}}),
        "The validator refused the document with _id 1",
    ),
    (
        "transform that changes the _id",
        two,
        Transform("t", lambda doc: {**doc, "_id": 9}),
        "transform() returned a different _id for the document with _id 1 of t",
    ),
    (
        "value that BSON has no type for",
        two,
        AddField("t", "c", default=decimal.Decimal("1.5")),
        "The script has a value that MongoDB cannot store: ",
    ),
    (
        "update that MongoDB does not know",
        two,
        Update("t", {}, {"$bogus": {"a": 1}}),
        "MongoDB refused it: Unknown modifier: $bogus",
    ),
    (
        "validator that MongoDB does not know",
        two,
        SetValidator("t", {"$bogus": 1}),
        "MongoDB refused it: Parsing of collection validator failed",
    ),
    (
        "fields of a view",
        a_view,
        DropField("v", "a"),
        "v is a view: documents cannot be changed through it",
    ),
    (
        "documents of a time series",
        a_time_series,
        Delete("s", {}),
        "s is a time-series collection, which MongoDB does not let transactions "
        "write to",
    ),
    (
        "documents of a capped collection",
        a_capped_one,
        Update("c", {}, {"$set": {"a": 1}}),
        "c is a capped collection, which MongoDB does not let transactions write to",
    ),
    (
        "keeping a time series",
        a_time_series,
        DropCollection("s"),
        "s is a time-series collection, which MongoDB cannot rename, so it cannot be "
        "kept aside",
    ),
    (
        "renaming a view",
        a_view,
        RenameCollection("v", "w"),
        "v is a view, which MongoDB cannot rename",
    ),
    (
        "creating over a view",
        a_view,
        CreateCollection("v"),
        "v already exists, with viewOn = 't' instead of None",
    ),
]


@pytest.mark.parametrize(
    ("seed", "operation", "what"),
    [refusal[1:] for refusal in REFUSALS],
    ids=[refusal[0] for refusal in REFUSALS],
)
def test_an_error_says_what_stands_in_the_way_and_nothing_is_changed(
    mongo_db: Db, seed: Seed, operation: Operation, what: str
) -> None:
    seed(mongo_db)
    before = image(mongo_db)
    with pytest.raises(OperationError) as caught:
        run(mongo_db, operation)
    assert caught.value.what.startswith(what)
    assert caught.value.step == 0
    assert str(caught.value.where).startswith("revision r1, step 0: ")
    revert(mongo_db, operation)
    assert image(mongo_db) == before


def test_an_error_shows_five_samples_of_many(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"_id": n, "price": f"{n}.5"} for n in range(20)])
    with pytest.raises(OperationError) as caught:
        run(mongo_db, ConvertField("t", "price", to="int"))
    assert caught.value.what == (
        "20 documents of t have a price that cannot be converted to int "
        "without loss: 0 ('0.5'), "
        "1 ('1.5'), 2 ('2.5'), 3 ('3.5'), 4 ('4.5'), …"
    )


def test_values_that_come_in_during_a_conversion_are_told(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"_id": n, "a": str(n)} for n in range(6)])

    def app_writes(progress: Progress) -> None:
        if progress.done == 4:
            mongo_db.t.update_one({"_id": 0}, {"$set": {"a": "bad"}})

    runner = OperationRunner(mongo_db, on_progress=app_writes)
    with pytest.raises(OperationError, match="1 document of t still have a a that is"):
        runner.run(REVISION, UP, [ConvertField("t", "a", to="int", batch_size=2)])


def test_a_server_that_is_gone_is_unavailable_not_a_failed_script() -> None:
    uri = "mongodb://127.0.0.1:9/gone?serverSelectionTimeoutMS=50"
    with MongoClient[dict[str, Any]](uri) as client:
        db = client.get_default_database()
        with pytest.raises(DatabaseUnavailable) as caught:
            run(db, CreateCollection("a"))
    assert caught.value.exit_code == 4


def test_a_replica_set_has_transactions(mongo_db: Db) -> None:
    assert supports_transactions(mongo_db)
