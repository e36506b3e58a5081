"""A collection comes back, and the app has made one of its name since.

Dropped or renamed, undone or downgraded: the former documents are back under the name,
what the app wrote stays, and what has no room is kept aside, counted and named.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import Event, Thread
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from flask_dualmigrate import PartialFailure, init, upgrade
from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import CreateCollection, DropCollection, RenameCollection
from tests.integration.conftest import Tree
from tests.support.mongo.killed import killed_at
from tests.support.mongo.runs import (
    DOWN,
    REVISION,
    UP,
    clear,
    complete,
    documents_of,
    image,
    our_asides,
    revert,
    run,
)

Db = Database[Any]

DROP, MAKE = DropCollection("t"), CreateCollection("t")
AWAY, HOME = RenameCollection("t", "u"), RenameCollection("u", "t")
FORMER = [{"_id": n, "v": n, "of": "former"} for n in range(5)]
ANEW = [{"_id": n, "v": 10 + n, "of": "app"} for n in (3, 7)]
STRIDE = 11
"""It is killed at every so many commands; 1 tries all."""
BACK = "t was recreated since: its documents remain, and the former documents are back"


def seed(db: Db) -> None:
    db.t.insert_many(FORMER)
    db.t.create_index("v", name="ix_v")


def undo_drop(db: Db) -> tuple[str, ...]:
    return revert(db, DROP).notes


def undo_rename(db: Db) -> tuple[str, ...]:
    return revert(db, AWAY).notes


def downgrade_drop(db: Db) -> tuple[str, ...]:
    (step,) = complete(db, MAKE, direction=DOWN).steps
    return step.notes


def downgrade_rename(db: Db) -> tuple[str, ...]:
    (step,) = complete(db, HOME, direction=DOWN).steps
    return step.notes


def undone_downgrade(db: Db) -> tuple[str, ...]:
    """Undo a downgrade whose `drop_collection` took what the upgrade had made."""
    return revert(db, DROP, direction=DOWN).notes


WAYS: dict[str, tuple[Callable[[Db], Any], Callable[[Db], tuple[str, ...]]]] = {
    "undo of a drop": (lambda db: run(db, DROP), undo_drop),
    "undo of a rename": (lambda db: run(db, AWAY), undo_rename),
    "downgrade of a drop": (lambda db: complete(db, DROP), downgrade_drop),
    "downgrade of a rename": (lambda db: complete(db, AWAY), downgrade_rename),
    "undo of a downgrade": (lambda db: run(db, DROP, direction=DOWN), undone_downgrade),
}
ways = pytest.mark.parametrize(("go", "back"), WAYS.values(), ids=list(WAYS))
Go = Callable[[Db], Any]
Back = Callable[[Db], tuple[str, ...]]


def everything(db: Db) -> list[Any]:
    """Return the documents of the app's collections and the asides."""
    return [doc for name in ["t", "u", *our_asides(db)] for doc in db[name].find()]


@ways
def test_the_former_documents_are_back_and_those_of_the_app_stay(
    mongo_db: Db, go: Go, back: Back
) -> None:
    seed(mongo_db)
    go(mongo_db)
    mongo_db.t.insert_many(ANEW)
    (note,) = back(mongo_db)
    (aside,) = our_asides(mongo_db)
    left = (
        f"except for 1: their _id or unique value is taken, and they remain in {aside}"
    )
    assert note == f"{BACK} in it, {left}"
    assert list(mongo_db.t.find().sort("_id")) == [
        *FORMER[:3],
        ANEW[0],
        FORMER[4],
        ANEW[1],
    ]
    assert list(mongo_db[aside].find()) == [FORMER[3]]
    assert "ix_v" in mongo_db.t.index_information()
    assert "u" not in mongo_db.list_collection_names()


@ways
def test_an_empty_one_makes_way(mongo_db: Db, go: Go, back: Back) -> None:
    seed(mongo_db)
    before = image(mongo_db)
    go(mongo_db)
    mongo_db.create_collection("t")
    mongo_db.t.create_index("of", name="ix_of")
    assert back(mongo_db) == ()
    assert image(mongo_db) == before
    assert our_asides(mongo_db) == []


@ways
def test_what_a_unique_index_has_no_room_for_stays_aside(
    mongo_db: Db, go: Go, back: Back
) -> None:
    mongo_db.t.insert_many(FORMER)
    mongo_db.t.create_index("v", name="ix_v", unique=True)
    go(mongo_db)
    mongo_db.t.insert_one({"_id": "new", "v": 2})
    (note,) = back(mongo_db)
    assert "except for 1" in note
    assert sorted(mongo_db.t.distinct("v")) == [0, 1, 2, 3, 4]
    (aside,) = our_asides(mongo_db)
    assert list(mongo_db[aside].find()) == [FORMER[2]]
    assert mongo_db.t.index_information()["ix_v"]["unique"]


@ways
def test_a_document_that_the_app_made_just_as_it_was_is_no_conflict(
    mongo_db: Db, go: Go, back: Back
) -> None:
    seed(mongo_db)
    go(mongo_db)
    mongo_db.t.insert_one(FORMER[0])
    (note,) = back(mongo_db)
    assert note == f"{BACK} in it"
    assert list(mongo_db.t.find().sort("_id")) == FORMER
    assert our_asides(mongo_db) == []


@ways
def test_its_validator_comes_back_too(mongo_db: Db, go: Go, back: Back) -> None:
    mongo_db.create_collection("t", validator={"v": {"$gt": 0}})
    mongo_db.t.insert_many(FORMER[1:])
    mongo_db.command({"collMod": "t", "validator": {"v": {"$gt": 1}}})
    go(mongo_db)
    mongo_db.t.insert_one({"_id": "new"})
    back(mongo_db)
    assert mongo_db.get_collection("t").options()["validator"] == {"v": {"$gt": 1}}
    assert mongo_db.t.count_documents({}) == 5  # two of them break it


OTHERS: dict[str, dict[str, Any]] = {
    "a view": {"viewOn": "other", "pipeline": []},
    "a capped collection": {"capped": True, "size": 4096},
    "collation": {"collation": {"locale": "de"}},
    "a time-series collection": {"timeseries": {"timeField": "at"}},
}


@pytest.mark.parametrize("other", OTHERS)
@ways
def test_one_of_another_kind_stays_and_the_former_one_is_kept_aside(
    mongo_db: Db, go: Go, back: Back, other: str
) -> None:
    seed(mongo_db)
    go(mongo_db)
    mongo_db.create_collection("t", **OTHERS[other])
    if other in ("a capped collection", "collation"):
        mongo_db.t.insert_one({"_id": "app"})
    (note,) = back(mongo_db)
    (aside,) = our_asides(mongo_db)
    assert note.startswith("t was recreated since, ")
    assert note.endswith(f"the former one, with 5 documents, remains in {aside}")
    assert other in note
    assert list(mongo_db[aside].find()) == FORMER
    assert mongo_db.t.options().keys() & OTHERS[other].keys()


@pytest.mark.parametrize(
    ("up", "down"), [(DROP, MAKE), (AWAY, HOME)], ids=["drop", "rename"]
)
def test_the_next_run_takes_all_of_it_and_no_former_aside(
    mongo_db: Db, up: Any, down: Any
) -> None:
    seed(mongo_db)
    for turn in range(3):
        run(mongo_db, up)
        mongo_db.t.insert_one({"_id": 3, "turn": turn})
        (note,) = revert(mongo_db, up).notes
        assert "except for 1" in note
        assert sorted(mongo_db.t.distinct("_id")) == [0, 1, 2, 3, 4]
    complete(mongo_db, up)
    assert len(everything(mongo_db)) == 8
    for turn in range(3, 6):
        run(mongo_db, down, direction=DOWN)
        assert sorted(mongo_db.t.distinct("_id")) == [0, 1, 2, 3, 4]
        revert(mongo_db, down, direction=DOWN)
        mongo_db.t.insert_one({"_id": 3, "turn": turn})
        complete(mongo_db, down, direction=DOWN)
        complete(mongo_db, up)
    complete(mongo_db, down, direction=DOWN)
    assert sorted(mongo_db.t.distinct("_id")) == [0, 1, 2, 3, 4]
    found = [doc.get("turn") for doc in everything(mongo_db) if doc["_id"] == 3]
    assert sorted(found, key=str) == [0, 1, 2, 3, 4, 5, None]


@pytest.mark.parametrize(
    ("up", "down", "name"),
    [(DROP, MAKE, ""), (AWAY, HOME, "u")],
    ids=["drop", "rename"],
)
def test_a_downgrade_that_is_undone_takes_out_what_it_put_in_unless_it_was_changed(
    mongo_db: Db, up: Any, down: Any, name: str
) -> None:
    seed(mongo_db)
    complete(mongo_db, up)
    mongo_db.t.insert_many(ANEW)
    for _ in range(2):
        run(mongo_db, down, direction=DOWN)
        mongo_db.t.update_one({"_id": 1}, {"$set": {"of": "changed"}})
        reverted = revert(mongo_db, down, direction=DOWN)
        assert "1 document of t was changed since, and remains so" in reverted.notes
        assert sorted(mongo_db.t.distinct("_id")) == [1, 3, 7]
        assert list(mongo_db.t.index_information()) == ["_id_"]
        kept = name or our_asides(mongo_db)[0]
        assert list(mongo_db[kept].find().sort("_id")) == [
            FORMER[n] for n in (0, 2, 3, 4)
        ]
        mongo_db.t.delete_one({"_id": 1})
        mongo_db[kept].insert_one(FORMER[1])
    complete(mongo_db, down, direction=DOWN)
    assert sorted(mongo_db.t.distinct("_id")) == [0, 1, 2, 3, 4, 7]


def test_an_upgrade_that_was_undone_meets_what_the_app_made_of_the_new_name(
    mongo_db: Db,
) -> None:
    seed(mongo_db)
    mongo_db.u.insert_many(ANEW)
    with pytest.raises(OperationError, match="the collection u already exists"):
        run(mongo_db, MAKE, AWAY)
    with pytest.raises(OperationError, match="the collection u already exists"):
        run(mongo_db, MAKE, AWAY)  # nothing was renamed: still the author's to say
    mongo_db.u.drop()
    run(mongo_db, MAKE, AWAY)
    revert(mongo_db, MAKE, AWAY)
    mongo_db.u.insert_many(ANEW)
    run(mongo_db, MAKE, AWAY)
    assert sorted(mongo_db.u.distinct("_id")) == [0, 1, 2, 3, 4, 7]
    assert mongo_db.u.find_one({"_id": 3}) == ANEW[0]
    revert(mongo_db, MAKE, AWAY)
    assert list(mongo_db.t.find().sort("_id")) == FORMER
    assert list(mongo_db.u.find().sort("_id")) == ANEW
    complete(mongo_db, MAKE, AWAY)
    assert our_asides(mongo_db) == ["_aside_r1_t"]
    assert list(mongo_db["_aside_r1_t"].find()) == [FORMER[3]]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_anywhere_it_is_carried_on(
    mongo_db: Db, mongo_url: str, way: str
) -> None:
    direction = UP if way.startswith("undo of a ") and "downgrade" not in way else DOWN
    undo = way.startswith("undo")
    go, back = WAYS[way]
    operation: Any = AWAY if "rename" in way else DROP
    if way.startswith("downgrade"):
        operation = HOME if "rename" in way else MAKE
    for commands in count(len(way) % STRIDE, STRIDE):
        clear(mongo_db)
        seed(mongo_db)
        go(mongo_db)
        if commands % 2:
            mongo_db.t.insert_many(ANEW)
        else:
            mongo_db.create_collection("t")
        killed = killed_at(mongo_url, commands, direction, operation, undo=undo)
        mongo_db.t.insert_one({"_id": "later"})
        (*_, note) = [*back(mongo_db), ""]
        ids = {0, 1, 2, 3, 4, "later", *((7,) if commands % 2 else ())}
        assert set(mongo_db.t.distinct("_id")) == ids, f"killed at {commands}: {note}"
        kept = [doc for aside in our_asides(mongo_db) for doc in mongo_db[aside].find()]
        assert kept == ([FORMER[3]] if commands % 2 else []), f"killed at {commands}"
        if not killed:
            break


@ways
def test_an_app_that_goes_on_writing_loses_nothing(
    mongo_db: Db, mongo_url: str, go: Go, back: Back
) -> None:
    mongo_db.t.insert_many({"_id": n, "n": 0} for n in range(4000))
    go(mongo_db)
    ending, wrote = Event(), []

    def write() -> None:
        with MongoClient[Any](mongo_url) as client:
            t = client.get_default_database().t
            for number in count():
                if ending.is_set():
                    return
                wrote.append(f"w{number}")
                t.insert_one({"_id": wrote[-1], "n": 0})
                assert t.update_one({"_id": wrote[0]}, {"$inc": {"n": 1}}).matched_count

    writer = Thread(target=write)
    writer.start()
    while len(wrote) < 3:
        pass
    try:
        back(mongo_db)
    finally:
        ending.set()
        writer.join()
    assert mongo_db.t.count_documents({}) == 4000 + len(wrote)
    first = mongo_db.t.find_one({"_id": "w0"})
    assert first == {"_id": "w0", "n": len(wrote)}
    assert our_asides(mongo_db) == []


def test_a_kill_does_not_let_a_drop_take_what_the_app_made_since(mongo_db: Db) -> None:
    for_good = DropCollection("t", keep=False)
    seed(mongo_db)
    run(mongo_db, for_good)
    as_killed = {"$set": {"status": "started"}}
    mongo_db["_migrations_steps"].update_one({"status": "done"}, as_killed)
    mongo_db.t.insert_one({"_id": "new"})
    (step,) = run(mongo_db, for_good).steps
    assert list(mongo_db.t.find()) == [{"_id": "new"}]
    assert "t was written to again after it was dropped, and remains" in step.notes


def test_a_kill_does_not_let_a_renaming_pass_over_its_collection(mongo_db: Db) -> None:
    seed(mongo_db)
    run(mongo_db, AWAY)
    as_killed = {"$set": {"status": "started"}}
    mongo_db["_migrations_steps"].update_one({"status": "done"}, as_killed)
    mongo_db.u.rename("t")  # as if it had been killed before
    mongo_db.u.insert_many(ANEW)
    run(mongo_db, AWAY)
    assert sorted(mongo_db.u.distinct("_id")) == [0, 1, 2, 3, 4, 7]
    revert(mongo_db, AWAY)
    assert list(mongo_db.t.find().sort("_id")) == FORMER
    assert list(mongo_db.u.find().sort("_id")) == ANEW


def test_a_view_stays_aside_where_there_is_something_else_now(mongo_db: Db) -> None:
    mongo_db.create_collection("t", viewOn="other", pipeline=[])
    run(mongo_db, DROP)
    mongo_db.t.insert_one({"_id": 1})
    (note,) = revert(mongo_db, DROP).notes
    assert note == "t was recreated since, and remains: the former view is _aside_r1_t"
    assert mongo_db["_aside_r1_t"].options()["viewOn"] == "other"
    complete(mongo_db, DROP)
    complete(mongo_db, MAKE, direction=DOWN)
    assert documents_of(mongo_db.t)


def test_a_time_series_collection_that_was_filled_stays(mongo_db: Db) -> None:
    series = CreateCollection("t", {"timeseries": {"timeField": "at"}})
    run(mongo_db, series)
    mongo_db.t.insert_one({"at": mongo_db.command("hello")["localTime"]})
    (note,) = revert(mongo_db, series).notes
    assert note.startswith("the timeseries collection t was filled since, and remains")
    run(mongo_db, series)
    assert mongo_db.t.count_documents({}) == 1


STEPS = """op.drop_collection("t")
op.rename_collection("other", "another")
op.run(boom, transactional=True)"""
BOOM = """
def boom(db, session):
    db.client[db.name].t.insert_one({"_id": 3, "of": "app"})
    db.client[db.name].other.insert_one({"_id": "new"})
    raise RuntimeError("boom")
"""


def test_a_failed_upgrade_says_what_it_could_not_bring_back(
    tree: Tree, mongo_db: Db
) -> None:
    seed(mongo_db)
    mongo_db.other.insert_one({"_id": 1})
    tree.add("r1", mongo=STEPS, mongo_more=BOOM)
    init()
    for _ in range(2):
        with pytest.raises(PartialFailure) as caught:
            upgrade()
        assert "except for 1: their _id or unique value is taken" in str(caught.value)
        assert mongo_db.t.count_documents({}) == 5
        assert sorted(mongo_db.other.distinct("_id"), key=str) == [1, "new"]
        assert "another" not in mongo_db.list_collection_names()
        mongo_db.t.replace_one({"_id": 3}, FORMER[3])
        mongo_db.other.delete_one({"_id": "new"})
    assert len(our_asides(mongo_db)) == 2


@pytest.mark.parametrize(
    ("up", "down"), [(DROP, MAKE), (AWAY, HOME)], ids=["drop", "rename"]
)
def test_on_a_standalone_server_too(alone: Db, up: Any, down: Any) -> None:
    runner = OperationRunner(alone, transactions=False)
    alone.t.insert_many(FORMER)
    alone.t.create_index("v", name="ix_v", unique=True)
    runner.run(REVISION, UP, [up])
    alone.t.insert_many([*ANEW, {"_id": "new", "v": 2}])
    (note,) = runner.revert(REVISION, UP, [up]).notes
    assert "except for 2" in note
    assert alone.t.count_documents({}) == 6
    (aside,) = our_asides(alone)
    assert list(alone[aside].find()) == FORMER[2:4]
    runner.run(REVISION, UP, [up])
    runner.settle((REVISION, UP))
    alone.t.insert_one({"_id": 0})
    runner.run(REVISION, DOWN, [down])
    assert alone.t.count_documents({}) == 6
    assert not runner.revert(REVISION, DOWN, [down]).notes
    assert list(alone.t.find()) == [{"_id": 0}]
    runner.run(REVISION, DOWN, [down])
    assert alone.t.count_documents({}) == 6
