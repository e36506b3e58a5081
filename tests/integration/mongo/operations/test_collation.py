"""Collections with a collation: to a lax one, `a` and `A` are one text."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.ops import (
    AddField,
    ConvertField,
    CopyField,
    Delete,
    DropField,
    Insert,
    Operation,
    RenameField,
    Update,
)
from tests.support.mongo.runs import DOWN, complete, image, our_asides, revert, run

Db = Database[Any]
LAX = {"locale": "en", "strength": 2}
MIXED_IDS: list[Any] = ["a", "B", "Ab", "á", "z", "Z0", 1, 2.5, None, "10", "9"]


@pytest.fixture(
    params=[LAX, {"locale": "en", "numericOrdering": True}, {"locale": "sv"}],
    ids=["strength 2", "numeric ordering", "Swedish"],
)
def collated(request: pytest.FixtureRequest, mongo_db: Db) -> Db:
    """A collection `c` of ids that a collation orders in its own way."""
    mongo_db.create_collection("c", collation=request.param)
    mongo_db.c.insert_many([{"_id": each, "n": 0} for each in MIXED_IDS])
    return mongo_db


def test_a_walk_meets_each_document_of_a_collated_collection_once(
    collated: Db,
) -> None:
    run(collated, Update("c", {}, {"$inc": {"n": 1}}, keep=True, batch_size=2))
    assert collated.c.distinct("n") == [1]
    assert collated.c.count_documents({}) == len(MIXED_IDS)


NAMES = {"A": 1, "a": 2, "b": 3, "Z": 4}
RENAMES: dict[str, tuple[Operation, list[str]]] = {
    "drop": (DropField("c", "a"), ["A", "b", "Z"]),
    "rename": (RenameField("c", "a", "z"), ["A", "z", "b", "Z"]),
    "move": (RenameField("c", "a", "in.a"), ["A", "b", "Z", "in"]),
    "copy": (CopyField("c", "a", "z"), ["A", "a", "b", "Z", "z"]),
    "add": (AddField("c", "B", default=1), ["A", "a", "b", "Z", "B"]),
}


@pytest.mark.parametrize("case", RENAMES)
def test_fields_that_differ_by_case_are_kept_apart(mongo_db: Db, case: str) -> None:
    operation, names = RENAMES[case]
    mongo_db.create_collection("c", collation=LAX)
    mongo_db.c.insert_one({"_id": 1, **NAMES})
    before = image(mongo_db)
    run(mongo_db, operation)
    (document,) = mongo_db.c.find()
    assert list(document) == ["_id", *names]
    revert(mongo_db, operation)
    assert image(mongo_db) == before


@pytest.mark.parametrize("direction", ["undo", "downgrade"])
def test_a_deleted_document_stays_aside_where_another_takes_its_id_by_collation(
    mongo_db: Db, direction: str
) -> None:
    mongo_db.create_collection("c", collation=LAX)
    mongo_db.c.insert_many([{"_id": "a"}, {"_id": "b"}])
    if direction == "undo":
        run(mongo_db, Delete("c", {}))
    else:
        complete(mongo_db, Delete("c", {}))
    mongo_db.c.insert_one({"_id": "A"})
    if direction == "undo":
        assert revert(mongo_db, Delete("c", {})).stuck is None
    else:
        run(mongo_db, Insert("c", ()), direction=DOWN)
    assert sorted(mongo_db.c.distinct("_id")) == ["A", "b"]
    (aside,) = our_asides(mongo_db)
    assert mongo_db[aside].distinct("_id") == ["a"]


def test_a_lax_collation_makes_no_other_text_true(mongo_db: Db) -> None:
    mongo_db.create_collection("c", collation={"locale": "en", "strength": 1})
    mongo_db.c.insert_one({"_id": 1, "a": "trüe"})
    with pytest.raises(OperationError, match="cannot be converted to bool"):
        run(mongo_db, ConvertField("c", "a", to="bool"))
