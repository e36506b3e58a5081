"""What a downgrade's insert gives back of what the upgrade's delete took."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.ops import Delete, Insert
from tests.support.mongo.runs import (
    DOWN,
    complete,
    image,
    our_asides,
    revert,
    run,
    run_stopped,
)

Db = Database[Any]
MANY = [{"_id": number, "n": number % 3} for number in range(7)]
DELETE = Delete("t", {"n": {"$gt": 0}}, batch_size=2)


def test_deleted_documents_come_back_byte_for_byte(mongo_db: Db) -> None:
    mongo_db.t.insert_many(MANY)
    before = image(mongo_db)
    complete(mongo_db, DELETE)
    complete(mongo_db, Insert("t", ()), direction=DOWN)
    assert image(mongo_db) == before
    assert our_asides(mongo_db) == []


def test_a_downgrades_own_documents_do_not_double_those_that_came_back(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_many(MANY)
    complete(mongo_db, DELETE)
    again = Insert("t", ({"_id": 1, "n": "default"}, {"_id": 99}))
    complete(mongo_db, again, direction=DOWN)
    assert list(mongo_db.t.find().sort("_id")) == [*MANY, {"_id": 99}]


def test_a_deleted_document_whose_id_is_taken_again_stays_aside(mongo_db: Db) -> None:
    mongo_db.t.insert_many(MANY)
    complete(mongo_db, DELETE)
    mongo_db.t.insert_one({"_id": 1, "n": "app"})
    (step,) = complete(mongo_db, Insert("t", ()), direction=DOWN).steps
    assert mongo_db.t.find_one({"_id": 1}) == {"_id": 1, "n": "app"}
    (aside,) = our_asides(mongo_db)
    assert mongo_db[aside].find_one() == MANY[1]
    assert step.notes == (
        "1 deleted document of t: the _id, or the key in a unique index, is taken "
        "again, the former one stays in "
        f"{aside}",
    )


def test_a_downgrade_of_deletes_that_is_undone_leaves_the_upgraded_bytes(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_many(MANY)
    before = image(mongo_db)
    complete(mongo_db, DELETE)
    upgraded = image(mongo_db)
    down = Insert("t", ({"_id": 99},))
    run(mongo_db, down, direction=DOWN)
    revert(mongo_db, down, direction=DOWN)
    assert image(mongo_db) == upgraded
    complete(mongo_db, Insert("t", ()), direction=DOWN)
    assert image(mongo_db) == before


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_a_downgrade_of_deletes_that_was_stopped_is_carried_on(
    mongo_db: Db, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "flask_dualmigrate.mongo.operations.shared.put_back_documents._BATCH_SIZE", 2
    )
    mongo_db.t.insert_many(MANY)
    complete(mongo_db, DELETE)
    down = Insert("t", ({"_id": 99},))
    assert run_stopped(mongo_db, calls, down, direction=DOWN)
    complete(mongo_db, down, direction=DOWN)
    assert list(mongo_db.t.find().sort("_id")) == [*MANY, {"_id": 99}]
