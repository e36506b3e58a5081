"""Undoing on a server without transactions: just what was written goes back.

There a batch that a validator or an index refuses, or whose run is killed, is written
in part.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from bson import Timestamp
from pymongo.database import Database

from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import (
    NOW,
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
from tests.support.mongo.killed import killed_at
from tests.support.mongo.runs import DOWN, REVISION, UP, image

Db = Database[Any]
FEW = 3
SET = Update(
    "t",
    {"v": {"$ne": None}},
    {"$set": {"v": None}, "$inc": {"n": 1}},
    undo={"$set": {"v": "x"}, "$unset": {"n": ""}},
    batch_size=FEW,
)
"""Its undo= would harm a document that it has not written."""


def runner_on(db: Db, **options: Any) -> OperationRunner:
    return OperationRunner(db, transactions=False, **options)


def run(db: Db, *operations: Operation, down: bool = False) -> None:
    runner_on(db).run(REVISION, DOWN if down else UP, operations)


def complete(db: Db, *operations: Operation, down: bool = False) -> str:
    """Run and settle; return what was noted."""
    direction = DOWN if down else UP
    result = runner_on(db).run(REVISION, direction, operations)
    runner_on(db).settle((REVISION, direction))
    return " ".join(note for step in result.steps for note in step.notes)


def undo(db: Db, *operations: Operation, down: bool = False) -> str:
    """Undo; return what was noted."""
    direction = DOWN if down else UP
    reverted = runner_on(db).revert(REVISION, direction, operations)
    assert reverted.stuck is None, reverted.why
    return " ".join(reverted.notes)


def seed(db: Db) -> dict[str, Any]:
    db.t.insert_many([{"_id": n, "v": str(n)} for n in range(8)])
    return image(db)


def test_a_batch_that_a_validator_refuses_in_part_is_undone_where_it_was_written(
    alone: Db,
) -> None:
    seed(alone)
    alone.command("collMod", "t", validator={"$or": [{"_id": {"$ne": 4}}, {"v": "4"}]})
    before = image(alone)
    with pytest.raises(OperationError, match="validator refused"):
        run(alone, SET)
    assert alone.t.count_documents({"v": None}) == 4
    assert undo(alone, SET) == ""
    assert alone.t.distinct("v", {"_id": {"$lt": 4}}) == ["x"]
    assert list(alone.t.find({"_id": {"$gte": 4}})) == [
        {"_id": n, "v": str(n)} for n in range(4, 8)
    ]
    alone.t.update_many({"v": "x"}, [{"$set": {"v": {"$toString": "$_id"}}}])
    assert image(alone) == before


def test_a_refused_update_without_an_undo_is_not_said_to_be_undone(alone: Db) -> None:
    seed(alone)
    alone.command("collMod", "t", validator={"$or": [{"_id": {"$ne": 1}}, {"v": "1"}]})
    operation = Update("t", {}, {"$set": {"v": 0}})
    with pytest.raises(OperationError):
        run(alone, operation)
    assert alone.t.count_documents({"v": 0}) == 1
    assert runner_on(alone).revert(REVISION, UP, [operation]).stuck == 0


@pytest.mark.parametrize(
    "operation",
    [
        AddField("t", "n", using={"$rand": {}}),
        AddField("t", "n", using="$$NOW"),
        AddField("t", "e.n", using={"$rand": {}}),
        AddField("t", "n", default=NOW),
        ConvertField("t", "v", to="double", using={"$rand": {}}),
        Insert("t", ({"_id": "stamp", "at": Timestamp(0, 0)},)),
    ],
    ids=lambda operation: repr(operation)[:60],
)
def test_what_comes_out_otherwise_each_time_is_undone(
    alone: Db, operation: Operation
) -> None:
    before = seed(alone)
    run(alone, operation)
    assert image(alone) != before
    assert undo(alone, operation) == ""
    assert image(alone) == before


def test_an_insert_refuses_an_id_that_is_taken_and_leaves_that_document(
    alone: Db,
) -> None:
    before = seed(alone)
    operation = Insert("t", ({"_id": "new"}, {"_id": 3, "v": "3"}, {"_id": "newer"}))
    with pytest.raises(OperationError, match="second document"):
        run(alone, operation)
    assert undo(alone, operation) == ""
    assert image(alone) == before


@pytest.mark.parametrize(
    "operation",
    [
        Update("t", {}, {"$set": {"v": 0}}, undo={"$set": {"v": "3"}}),
        DropField("t", "v"),
        ConvertField("t", "v", to="int"),
        RenameField("t", "v", "w"),
        Delete("t", {}),
    ],
    ids=lambda operation: str(operation.verb),
)
def test_what_a_unique_index_refuses_stays_and_the_rest_goes_back(
    alone: Db, operation: Operation
) -> None:
    seed(alone)
    run(alone, operation)
    alone.t.insert_one({"_id": "app", "v": "3"})
    texts = {"v": {"$type": "string"}}
    alone.t.create_index("v", unique=True, partialFilterExpression=texts)
    assert "a unique index of t refuses" in undo(alone, operation)
    back = {doc["_id"] for doc in alone.t.find(texts)}
    assert back == (
        {"app"} if operation.verb == "update" else {0, 1, 2, 4, 5, 6, 7, "app"}
    )


def test_a_downgrade_puts_back_what_a_unique_index_lets_in(alone: Db) -> None:
    seed(alone)
    complete(alone, DropField("t", "v"))
    alone.t.insert_one({"_id": "app", "v": "3"})
    has_it = {"v": {"$exists": True}}
    alone.t.create_index("v", unique=True, partialFilterExpression=has_it)
    back = AddField("t", "v")
    run(alone, back, down=True)
    assert {doc["_id"] for doc in alone.t.find(has_it)} == {*range(8), "app"} - {3}
    assert undo(alone, back, down=True) == ""
    assert "1 former value of v of t could not" in complete(alone, back, down=True)


ON_THE_WAY: tuple[tuple[Operation, Operation], ...] = (
    (
        Update(
            "t",
            {"done": {"$exists": False}},
            {"$set": {"done": 1}, "$inc": {"m": 1}},
            undo={"$unset": {"done": "", "m": ""}},
            batch_size=FEW,
        ),
        DropField("t", "done", batch_size=FEW),
    ),
    (
        AddField("t", "n", using={"$rand": {}}, batch_size=FEW),
        DropField("t", "n", batch_size=FEW),
    ),
    (
        AddField("t", "n", default=NOW, batch_size=FEW),
        DropField("t", "n", batch_size=FEW),
    ),
    (
        CopyField("t", "v", "n", batch_size=FEW),
        DropField("t", "n", batch_size=FEW),
    ),
    (DropField("t", "v", batch_size=FEW), AddField("t", "v", batch_size=FEW)),
    (
        ConvertField("t", "v", to="int", batch_size=FEW),
        ConvertField("t", "v", to="string", batch_size=FEW),
    ),
    (
        RenameField("t", "v", "w", batch_size=FEW),
        RenameField("t", "w", "v", batch_size=FEW),
    ),
    (Delete("t", {"_id": {"$gt": 1}}, batch_size=FEW), Insert("t", ())),
    (
        Insert("t", ({"_id": "in", "v": "1"}, {"_id": "at", "at": Timestamp(0, 0)})),
        Delete("t", {"_id": {"$in": ["in", "at"]}}),
    ),
)


@pytest.mark.parametrize("number", range(18))
def test_what_is_killed_on_the_way_is_undone_and_nothing_is_said_to_stay(
    alone: Db, alone_url: str, number: int
) -> None:
    chance = random.Random(number)
    up, back = ON_THE_WAY[number % len(ON_THE_WAY)]
    before, down = seed(alone), number >= len(ON_THE_WAY)
    if down:
        complete(alone, up)
        up, before = back, image(alone)
    direction = DOWN if down else UP
    for undoing in [False, *chance.choices([False, True], k=3), True]:
        killed_at(alone_url, chance.randint(9, 45), direction, up, undo=undoing)
    assert undo(alone, up, down=down) == "", f"seed {number}"
    assert image(alone) == before, f"seed {number}"
    assert not kept(alone) or down
    if not down:
        assert complete(alone, up) == ""


def kept(db: Db) -> list[str]:
    """Return the asides that hold something."""
    names = db.list_collection_names(filter={"name": {"$regex": "^_aside_r"}})
    return [name for name in names if db[name].find_one() is not None]
