"""Going back where the app has taken the place: its value stays, ours goes aside.

The place is a field that it has written again, or a key in a unique index.
"""

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
)
from tests.integration.verbs.test_dry_run import foretell
from tests.support.mongo.runs import (
    DOWN,
    complete,
    our_asides,
    revert,
    run,
    run_stopped,
)

Db = Database[Any]
PUT_BACKS = [
    (DropField("t", "v"), AddField("t", "v", default="d", batch_size=2)),
    (DropField("t", "v"), AddField("t", "v", batch_size=2)),
    (
        ConvertField("t", "v", to="int"),
        ConvertField("t", "v", to="string", batch_size=2),
    ),
    (RenameField("t", "v", "w"), RenameField("t", "w", "v", batch_size=2)),
    (Delete("t", {}), Insert("t", ())),
]


def seed(db: Db) -> None:
    db.t.insert_many([{"_id": n, "v": f"{n}"} for n in range(7)])


def take(db: Db) -> None:
    """Let the app give another document the value that one had, and be unique."""
    db.t.insert_one({"_id": "app", "v": "3", "app": True})
    texts = {"v": {"$type": "string"}}
    db.t.create_index("v", unique=True, partialFilterExpression=texts)


def texts(db: Db) -> dict[Any, Any]:
    return {doc["_id"]: doc["v"] for doc in db.t.find({"v": {"$type": "string"}})}


def said(result: Any) -> str:
    return " ".join(note for step in result.steps for note in step.notes)


def kept(db: Db) -> list[Any]:
    """Return what the asides hold, as values."""
    return [
        doc.get("value", doc.get("v"))
        for name in our_asides(db)
        for doc in db[name].find()
    ]


@pytest.mark.parametrize(
    ("up", "down"), PUT_BACKS, ids=lambda operation: str(operation.verb)
)
@pytest.mark.parametrize("calls", [None, 3], ids=["whole", "stopped"])
def test_a_downgrade_puts_back_all_but_what_a_unique_index_refuses(
    mongo_db: Db, up: Operation, down: Operation, calls: int | None
) -> None:
    seed(mongo_db)
    complete(mongo_db, up)
    take(mongo_db)
    if calls is not None:
        run_stopped(mongo_db, calls, down, direction=DOWN)
    notes = said(complete(mongo_db, down, direction=DOWN))
    assert texts(mongo_db) == {n: f"{n}" for n in range(7) if n != 3} | {"app": "3"}
    assert kept(mongo_db) == ["3"]
    assert "unique index" in notes
    assert our_asides(mongo_db)[0] in notes


@pytest.mark.parametrize(("up", "down"), PUT_BACKS[:4], ids=lambda each: str(each.verb))
def test_a_downgrade_with_refused_values_is_undone_and_done_again(
    mongo_db: Db, up: Operation, down: Operation
) -> None:
    seed(mongo_db)
    complete(mongo_db, up)
    upgraded = list(mongo_db.t.find())
    take(mongo_db)
    run(mongo_db, down, direction=DOWN)
    assert revert(mongo_db, down, direction=DOWN).notes == ()
    assert list(mongo_db.t.find({"_id": {"$ne": "app"}})) == upgraded
    mongo_db.t.delete_one({"_id": "app"})
    assert said(complete(mongo_db, down, direction=DOWN)) == ""
    assert texts(mongo_db) == {n: f"{n}" for n in range(7)}


def test_an_upgrades_undo_of_a_renaming_leaves_the_apps_value_and_keeps_ours_aside(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_many([{"_id": 1, "v": 1, "z": 0}, {"_id": 2, "v": 2, "z": 0}])
    operation = RenameField("t", "v", "w")
    run(mongo_db, operation)
    mongo_db.t.update_one({"_id": 1}, {"$set": {"v": "app"}})
    reverted = revert(mongo_db, operation)
    assert list(mongo_db.t.find()) == [
        {"_id": 1, "z": 0, "v": "app"},
        {"_id": 2, "v": 2, "z": 0},
    ]
    assert kept(mongo_db) == [1]
    assert "1 document of t got another v since" in " ".join(reverted.notes)
    assert said(complete(mongo_db, operation)) == ""  # nothing is left out
    assert sorted(map(str, mongo_db.t.distinct("w"))) == ["2", "app"]


@pytest.mark.parametrize("parent", ["", "e."])
def test_what_a_renaming_wrote_over_comes_back_beside_the_apps_value(
    mongo_db: Db, parent: str
) -> None:
    mongo_db.t.insert_one({"_id": 1, "v": "ours", "e": {"w": "old"}, "w": "old"})
    operation = RenameField("t", "v", f"{parent}w", overwrite=True)
    run(mongo_db, operation)
    mongo_db.t.update_one({"_id": 1}, {"$set": {"v": "app"}})
    revert(mongo_db, operation)
    wanted = {"_id": 1, "v": "app", "e": {"w": "old"}, "w": "old"}
    assert mongo_db.t.find_one() == wanted
    assert kept(mongo_db) == ["ours"]


def test_a_downgrades_renaming_leaves_the_apps_value_and_keeps_ours_aside(
    mongo_db: Db,
) -> None:
    mongo_db.t.insert_many([{"_id": n, "v": n, "z": 0} for n in range(5)])
    complete(mongo_db, RenameField("t", "v", "w"))
    upgraded = list(mongo_db.t.find())
    mongo_db.t.update_one({"_id": 1}, {"$set": {"v": "app"}})
    down = RenameField("t", "w", "v", batch_size=2)
    run(mongo_db, down, direction=DOWN)
    assert [doc["v"] for doc in mongo_db.t.find()] == [0, "app", 2, 3, 4]
    revert(mongo_db, down, direction=DOWN)
    upgraded[1]["v"] = "app"
    assert list(mongo_db.t.find()) == upgraded
    assert our_asides(mongo_db) == []
    notes = said(complete(mongo_db, down, direction=DOWN))
    assert "1 document of t got another v since" in notes
    assert mongo_db.t.count_documents({"w": {"$exists": True}}) == 0
    assert kept(mongo_db) == [1]


def test_a_downgrades_copy_leaves_the_apps_value_and_counts_it(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"_id": n, "v": n} for n in range(3)])
    complete(mongo_db, RenameField("t", "v", "w"))
    mongo_db.t.update_one({"_id": 1}, {"$set": {"v": "app"}})
    down = CopyField("t", "w", "v")
    assert said(complete(mongo_db, down, direction=DOWN)) == (
        "1 document of t has v already, and keeps it: w was not copied over it"
    )
    assert [doc["v"] for doc in mongo_db.t.find()] == [0, "app", 2]


def test_a_conversion_that_comes_out_otherwise_each_time_is_undone(
    mongo_db: Db,
) -> None:
    seed(mongo_db)
    before = list(mongo_db.t.find())
    operation = ConvertField("t", "v", to="double", using={"$rand": {}})
    run(mongo_db, operation)
    assert revert(mongo_db, operation).notes == ()
    assert list(mongo_db.t.find()) == before


def test_a_dry_run_of_a_downgrade_says_what_would_go_aside(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"_id": n, "v": str(n)} for n in range(4)])
    complete(mongo_db, RenameField("t", "v", "w"))
    mongo_db.t.update_one({"_id": 1}, {"$set": {"v": "app"}})
    take(mongo_db)
    (told,) = foretell(mongo_db, RenameField("t", "w", "v"), direction=DOWN)
    assert told.problems == ()
    notes = " ".join(told.notes)
    assert "1 document has a different v already: w is kept aside" in notes
    assert "{'v': '3'}: refused values are kept aside" in notes
    (copy,) = foretell(mongo_db, CopyField("t", "w", "v"), direction=DOWN)
    assert "1 document has a different v already, which remains" in copy.notes
