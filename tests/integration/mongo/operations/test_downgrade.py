"""Downgrades: what the upgrade took away is put back where it was."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    Delete,
    DropCollection,
    DropField,
    Insert,
    Operation,
    RenameField,
)
from tests.support.mongo.cases import BATCH, CASES, Case
from tests.support.mongo.runs import (
    DOWN,
    UP,
    complete,
    image,
    our_asides,
    revert,
    run,
    run_stopped,
    settle,
)
from tests.support.mongo.seed import seed

Db = Database[Any]
REVERSIBLE = [case for case in CASES.values() if case.reverse is not None]
UNDOABLE = [
    case
    for case in REVERSIBLE
    if case.operation.verb not in ("run", "update")  # their reverses declare no undo
]


@pytest.mark.parametrize("case", REVERSIBLE, ids=str)
def test_a_downgrade_gives_back_every_byte(mongo_db: Db, case: Case) -> None:
    assert case.reverse is not None
    seed(mongo_db)
    before = image(mongo_db)
    complete(mongo_db, case.operation)
    complete(mongo_db, case.reverse, direction=DOWN)
    assert image(mongo_db) == before


@pytest.mark.parametrize("case", UNDOABLE, ids=str)
def test_a_downgrade_that_is_undone_leaves_the_upgraded_bytes(
    mongo_db: Db, case: Case
) -> None:
    assert case.reverse is not None
    seed(mongo_db)
    complete(mongo_db, case.operation)
    upgraded = image(mongo_db)
    run(mongo_db, case.reverse, direction=DOWN)
    revert(mongo_db, case.reverse, direction=DOWN)
    assert image(mongo_db) == upgraded


@pytest.mark.parametrize("case", UNDOABLE, ids=str)
@pytest.mark.parametrize("calls", [2, 4])
def test_a_downgrade_works_after_half_of_it_was_undone(
    mongo_db: Db, case: Case, calls: int
) -> None:
    assert case.reverse is not None
    seed(mongo_db)
    before = image(mongo_db)
    complete(mongo_db, case.operation)
    run_stopped(mongo_db, calls, case.reverse, direction=DOWN)
    revert(mongo_db, case.reverse, direction=DOWN)
    complete(mongo_db, case.reverse, direction=DOWN)
    assert image(mongo_db) == before


@pytest.mark.parametrize("case", UNDOABLE, ids=str)
@pytest.mark.parametrize("calls", [1, 3, 5])
def test_a_downgrade_that_was_stopped_is_carried_on(
    mongo_db: Db, case: Case, calls: int
) -> None:
    assert case.reverse is not None
    seed(mongo_db)
    before = image(mongo_db)
    complete(mongo_db, case.operation)
    run_stopped(mongo_db, calls, case.reverse, direction=DOWN)
    complete(mongo_db, case.reverse, direction=DOWN)
    assert image(mongo_db) == before


@pytest.mark.parametrize("case", REVERSIBLE, ids=str)
def test_up_down_and_up_again_gives_the_same_bytes(mongo_db: Db, case: Case) -> None:
    assert case.reverse is not None
    seed(mongo_db)
    complete(mongo_db, case.operation)
    upgraded = image(mongo_db)
    complete(mongo_db, case.reverse, direction=DOWN)
    complete(mongo_db, case.operation)
    assert image(mongo_db) == upgraded


UP_AND_DOWN: tuple[tuple[Operation, Operation], ...] = (
    (DropField("item", "n", batch_size=BATCH), AddField("item", "n", default=0)),
    (
        ConvertField("item", "price", to="int"),
        ConvertField("item", "price", to="string"),
    ),
    (DropCollection("item"), CreateCollection("item")),
)


@pytest.mark.parametrize(("up", "down"), UP_AND_DOWN, ids=lambda value: value.verb)
def test_a_settled_downgrade_leaves_nothing_of_what_it_put_back(
    mongo_db: Db, up: Operation, down: Operation
) -> None:
    seed(mongo_db)
    complete(mongo_db, up)
    (kept,) = our_asides(mongo_db)
    complete(mongo_db, down, direction=DOWN)
    assert kept not in our_asides(mongo_db)


@pytest.mark.parametrize(("up", "down"), UP_AND_DOWN, ids=lambda value: value.verb)
def test_the_second_round_gives_back_what_the_second_upgrade_took(
    mongo_db: Db, up: Operation, down: Operation
) -> None:
    seed(mongo_db)
    complete(mongo_db, up)
    complete(mongo_db, down, direction=DOWN)
    other = {"n": -7, "price": {"$concat": ["9", "$price"]}}
    mongo_db.item.update_many({}, [{"$set": other}])
    mongo_db.item.delete_many({"_id": {"$in": ["a", None]}})
    before = image(mongo_db)
    complete(mongo_db, up)
    complete(mongo_db, down, direction=DOWN)
    assert image(mongo_db) == before


def test_the_default_is_for_documents_that_came_after_the_upgrade(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_many([{"_id": 1, "a": None, "z": 1}, {"_id": 2, "z": 1}])
    complete(mongo_db, DropField("t", "a"))
    mongo_db.t.insert_one({"_id": 3})
    complete(mongo_db, AddField("t", "a", default=0), direction=DOWN)
    assert [list(doc.items()) for doc in mongo_db.t.find().sort("_id")] == [
        [("_id", 1), ("a", None), ("z", 1)],
        [("_id", 2), ("z", 1)],
        [("_id", 3), ("a", 0)],
    ]


def test_fields_dropped_together_come_back_in_their_order(mongo_db: Db) -> None:
    mongo_db.t.insert_one({"_id": 1, "a": 1, "b": 2, "c": 3, "d": 4})
    complete(mongo_db, DropField("t", "b"), DropField("t", "c"))
    complete(mongo_db, AddField("t", "c"), AddField("t", "b"), direction=DOWN)
    (document,) = mongo_db.t.find()
    assert list(document) == ["_id", "a", "b", "c", "d"]


def test_what_was_written_since_the_upgrade_stays_and_is_reported(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 2}, {"_id": 3, "a": 3}])
    complete(mongo_db, DropField("t", "a"))
    mongo_db.t.update_one({"_id": 1}, {"$set": {"a": "app"}})
    mongo_db.t.delete_one({"_id": 3})
    (step,) = complete(mongo_db, AddField("t", "a"), direction=DOWN).steps
    assert list(mongo_db.t.find().sort("_id")) == [
        {"_id": 1, "a": "app"},
        {"_id": 2, "a": 2},
    ]
    assert step.notes == (
        "2 documents were written or deleted since: the former a of t stays in "
        "_aside_r1_t.a",
    )
    assert sorted(mongo_db["_aside_r1_t.a"].distinct("value")) == [1, 3]


def test_a_converted_value_that_changed_since_is_converted_by_itself(
    mongo_db: Db,
) -> None:
    documents = [{"_id": 1, "a": " 12 "}, {"_id": 2, "a": "3"}, {"_id": 3, "a": None}]
    mongo_db.t.insert_many(documents)
    complete(mongo_db, ConvertField("t", "a", to="int"))
    mongo_db.t.update_one({"_id": 2}, {"$set": {"a": 4}})
    complete(mongo_db, ConvertField("t", "a", to="string"), direction=DOWN)
    assert [doc["a"] for doc in mongo_db.t.find().sort("_id")] == [" 12 ", "4", None]


def test_originals_of_a_third_type_are_put_back_and_left_so(mongo_db: Db) -> None:
    documents = [{"_id": 1, "a": "1"}, {"_id": 2, "a": 2.0}, {"_id": 3, "a": "x"}]
    mongo_db.t.insert_many(documents)
    up = ConvertField("t", "a", to="int", on_error="null")
    complete(mongo_db, up)
    mongo_db.t.insert_one({"_id": 4, "a": 9})
    complete(mongo_db, ConvertField("t", "a", to="string"), direction=DOWN)
    assert list(mongo_db.t.find().sort("_id")) == [*documents, {"_id": 4, "a": "9"}]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (
            RenameField("t", "a", "b", overwrite=True),
            RenameField("t", "b", "a"),
        ),
        (CopyField("t", "a", "b", overwrite=True), DropField("t", "b")),
    ],
    ids=["rename_field", "copy_field"],
)
def test_what_was_written_over_comes_back(
    mongo_db: Db, up: Operation, down: Operation
) -> None:
    mongo_db.t.insert_many([{"_id": 1, "a": 1, "b": "old", "c": 1}, {"_id": 2, "a": 2}])
    before = image(mongo_db)
    complete(mongo_db, up)
    complete(mongo_db, down, direction=DOWN)
    assert image(mongo_db) == before


def test_a_dropped_collection_comes_back_with_its_uuid_and_indexes(
    mongo_db: Db,
) -> None:
    seed(mongo_db)
    (before,) = mongo_db.list_collections(filter={"name": "item"})
    complete(mongo_db, DropCollection("item"))
    complete(mongo_db, CreateCollection("item"), direction=DOWN)
    (after,) = mongo_db.list_collections(filter={"name": "item"})
    assert after["info"]["uuid"] == before["info"]["uuid"]


def test_an_upgrade_takes_nothing_from_an_earlier_downgrade(mongo_db: Db) -> None:
    mongo_db.t.insert_one({"_id": 1})
    complete(mongo_db, AddField("t", "a", default="new"))
    mongo_db.t.update_one({"_id": 1}, {"$set": {"a": "app"}})
    complete(mongo_db, DropField("t", "a"), direction=DOWN)
    complete(mongo_db, AddField("t", "a", default="new"))
    assert mongo_db.t.find_one() == {"_id": 1, "a": "new"}


def test_two_revisions_keep_their_asides_apart(mongo_db: Db) -> None:
    runner = OperationRunner(mongo_db)
    mongo_db.t.insert_one({"_id": 1, "a": 1})
    for revision, value in (("r1", 2), ("r2", 3)):
        runner.run(revision, UP, [DropField("t", "a")])
        runner.settle((revision, UP))
        mongo_db.t.update_one({"_id": 1}, {"$set": {"a": value}})
    mongo_db.t.update_one({"_id": 1}, {"$unset": {"a": ""}})
    runner.run("r2", DOWN, [AddField("t", "a")])
    assert mongo_db.t.find_one() == {"_id": 1, "a": 2}


def test_an_aside_of_a_long_name_is_cut_and_found_again(mongo_db: Db) -> None:
    name = "ä" * 90
    mongo_db[name].insert_one({"_id": 1})
    complete(mongo_db, DropCollection(name))
    (aside,) = our_asides(mongo_db)
    assert len(f"{mongo_db.name}.{aside}".encode()) <= 235
    complete(mongo_db, CreateCollection(name), direction=DOWN)
    assert mongo_db[name].find_one() == {"_id": 1}


def test_settling_twice_is_as_settling_once(mongo_db: Db) -> None:
    seed(mongo_db)
    run(mongo_db, DropField("item", "n"))
    settle(mongo_db)
    settle(mongo_db)
    assert our_asides(mongo_db) == ["_aside_r1_item.n"]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (DropField("t", "a"), AddField("t", "a")),
        (Delete("t", {}), Insert("t", ())),
        (DropCollection("t"), CreateCollection("t")),
        (ConvertField("t", "a", to="string"), ConvertField("t", "a", to="int")),
    ],
    ids=lambda value: value.verb,
)
def test_a_downgrade_gives_back_what_the_last_of_two_upgrades_took(
    mongo_db: Db, up: Operation, down: Operation
) -> None:
    mongo_db.t.insert_one({"_id": 1, "a": 1})
    complete(mongo_db, up)
    (older,) = our_asides(mongo_db)
    mongo_db.t.replace_one({"_id": 1}, {"a": 2}, upsert=True)  # after a `stamp` back
    complete(mongo_db, up)
    complete(mongo_db, down, direction=DOWN)
    assert list(mongo_db.t.find()) == [{"_id": 1, "a": 2}]
    assert our_asides(mongo_db) == [older]
