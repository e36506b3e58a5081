"""Documents that the collection's own validator refuses go back nevertheless."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    Delete,
    DropField,
    Insert,
    Operation,
    RenameField,
    SetValidator,
    Transform,
    Update,
)
from tests.support.mongo.runs import DOWN, complete, image, revert, run

Db = Database[Any]
C = "u"
REFUSED = {"_id": 1, "age": "41", "old": "x"}
FINE = {"_id": 2, "age": 5, "name": "b"}


def mend(document: dict[str, Any]) -> dict[str, Any]:
    return {"_id": document["_id"], "age": 0, "name": "a"}


def spoil(document: dict[str, Any]) -> dict[str, Any]:
    return {"_id": document["_id"], "age": "41", "old": "x"}


TEXT = {"age": {"$type": "string"}}
CASES: dict[str, tuple[dict[str, Any], Operation, Operation]] = {
    "add": (
        {"_id": 1, "age": 1},
        AddField(C, "name", default="a"),
        DropField(C, "name"),
    ),
    "drop": ({**FINE, "_id": 1, "old": 1}, DropField(C, "old"), AddField(C, "old")),
    "rename": (
        {"_id": 1, "age": 1, "old": "a"},
        RenameField(C, "old", "name"),
        RenameField(C, "name", "old"),
    ),
    "convert": (
        {"_id": 1, "age": "41", "name": "a"},
        ConvertField(C, "age", "int"),
        ConvertField(C, "age", "string"),
    ),
    "copy": (
        {"_id": 1, "age": 1, "name": "a", "nick": True},
        CopyField(C, "name", "nick", overwrite=True),
        Update(C, {"_id": 1}, {"$set": {"nick": True}}),
    ),
    "update": (
        REFUSED,
        Update(C, TEXT, ({"$replaceWith": FINE | {"_id": 1}},), keep=True),
        Update(C, {"_id": 1}, ({"$replaceWith": REFUSED},)),
    ),
    "update with undo": (
        {"_id": 1, "age": -1, "name": "a"},
        Update(C, {"_id": 1}, {"$inc": {"age": 9}}, undo={"$inc": {"age": -9}}),
        Update(C, {"_id": 1}, {"$inc": {"age": -9}}),
    ),
    "transform": (
        REFUSED,
        Transform(C, mend, TEXT, undo=spoil),
        Transform(C, spoil, {"_id": 1}),
    ),
    "delete": (REFUSED, Delete(C, TEXT), Insert(C, ())),
}
SCHEMA = {
    "bsonType": "object",
    "required": ["name"],
    "properties": {
        "_id": {},
        "name": {"bsonType": "string"},
        "nick": {"bsonType": "string"},
        "age": {"bsonType": "int", "minimum": 0},
    },
    "additionalProperties": False,
}


def seeded(db: Db, document: dict[str, Any]) -> dict[str, Any]:
    """Return the image of a collection whose validator came after its documents."""
    db[C].insert_many([document, FINE])
    db.command("collMod", C, validator={"$jsonSchema": SCHEMA})
    return image(db)


@pytest.mark.parametrize(("document", "up", "down"), CASES.values(), ids=CASES)
def test_an_undo_gives_back_what_the_validator_refuses(
    mongo_db: Db, document: dict[str, Any], up: Operation, down: Operation
) -> None:
    before = seeded(mongo_db, document)

    run(mongo_db, up)
    changed = image(mongo_db)
    reverted = revert(mongo_db, up)

    assert changed != before
    assert reverted.stuck is None
    assert image(mongo_db) == before


@pytest.mark.parametrize(("document", "up", "down"), CASES.values(), ids=CASES)
def test_a_downgrade_gives_back_what_the_validator_refuses(
    mongo_db: Db, document: dict[str, Any], up: Operation, down: Operation
) -> None:
    seeded(mongo_db, document)

    complete(mongo_db, up)
    changed = mongo_db[C].find_one({"_id": 1})
    complete(mongo_db, down, direction=DOWN)

    assert changed != document
    assert mongo_db[C].find_one({"_id": 1}) == document


def test_an_upgrade_is_held_to_the_validator(mongo_db: Db) -> None:
    seeded(mongo_db, REFUSED)

    with pytest.raises(Exception, match="validator refused the document with _id 2"):
        run(mongo_db, Update(C, {"_id": 2}, {"$set": {"age": "no"}}, keep=True))


def test_the_level_of_a_validator_is_what_it_was_after_an_undo(mongo_db: Db) -> None:
    mongo_db.create_collection(C, validationLevel="moderate", validationAction="warn")
    (before,) = mongo_db.list_collections(filter={"name": C})
    operation = SetValidator(C, {"age": {"$gte": 0}}, level="strict", action="error")

    run(mongo_db, operation)
    revert(mongo_db, operation)

    (after,) = mongo_db.list_collections(filter={"name": C})
    assert after == before


def test_a_validator_that_is_taken_away_where_none_is_changes_nothing(
    mongo_db: Db,
) -> None:
    mongo_db.create_collection(C)

    run(mongo_db, SetValidator(C, None))

    (info,) = mongo_db.list_collections(filter={"name": C})
    assert info["options"] == {}
