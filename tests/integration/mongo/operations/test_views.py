"""Views: dropped and brought back, and told of when they lose what they read."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate.mongo.asides.purge import KeptAsides
from flask_dualmigrate.ops import CreateCollection, DropCollection, RenameCollection
from tests.integration.verbs.test_dry_run import foretell, one
from tests.support.mongo.runs import DOWN, complete, image, revert, run

Db = Database[Any]

PIPELINE = [{"$match": {"a": {"$gt": 0}}}, {"$set": {"b": "$a"}}]


@pytest.fixture
def viewed(mongo_db: Db) -> Db:
    """Views on `u`: v at once, w by v, x to z by their pipelines; `o` by none."""
    mongo_db.u.insert_one({"_id": 1, "a": 1})
    mongo_db.o.insert_one({"_id": 1})
    collation = {"locale": "de", "strength": 2}
    mongo_db.create_collection("v", viewOn="u", pipeline=PIPELINE, collation=collation)
    mongo_db.create_collection("w", viewOn="v", pipeline=[], collation=collation)
    joined = {"from": "u", "localField": "a", "foreignField": "a", "as": "j"}
    graph = {**joined, "startWith": "$a", "connectFromField": "a"}
    graph = {**graph, "connectToField": "a"}
    del graph["localField"], graph["foreignField"]
    for name, pipeline in {
        "x": [{"$facet": {"f": [{"$lookup": joined}]}}],
        "y": [{"$unionWith": {"coll": "o", "pipeline": [{"$unionWith": "u"}]}}],
        "z": [{"$graphLookup": graph}],
    }.items():
        mongo_db.create_collection(name, viewOn="o", pipeline=pipeline)
    return mongo_db


def test_a_dropped_view_comes_back_in_the_undo_and_in_the_downgrade(
    viewed: Db,
) -> None:
    before = image(viewed)
    run(viewed, DropCollection("v"))
    revert(viewed, DropCollection("v"))
    assert image(viewed) == before
    complete(viewed, DropCollection("v"))
    (aside,) = KeptAsides(viewed).all(frozenset())
    assert (aside.holds, aside.documents, aside.for_downgrade) == ("view", 0, True)
    run(viewed, CreateCollection("v"), direction=DOWN)
    assert image(viewed) == before
    revert(viewed, CreateCollection("v"), direction=DOWN)
    assert "v" not in image(viewed)
    complete(viewed, CreateCollection("v"), direction=DOWN)
    assert image(viewed) == before
    assert KeptAsides(viewed).all(frozenset()) == ()


def test_a_view_without_documents_is_kept_for_the_downgrade_too(viewed: Db) -> None:
    viewed.u.delete_many({})
    before = image(viewed)
    complete(viewed, DropCollection("w"), DropCollection("v"))
    restored = (CreateCollection("v"), CreateCollection("w"))
    complete(viewed, *restored, direction=DOWN)
    assert image(viewed) == before


def test_a_purged_view_is_told_of_before_a_downgrade(viewed: Db) -> None:
    complete(viewed, DropCollection("v"))
    kept = KeptAsides(viewed)
    (aside,) = kept.all(frozenset())
    kept.purge(aside)
    (told,) = kept.lost("r1")
    assert told.startswith("the former view v cannot be put back: _aside_r1_v was")


TOLD = {
    "renamed": (RenameCollection("u", "n"), "v, w, x, y, z read u", "renamed to n"),
    "dropped": (DropCollection("u", keep=False), "v, w, x, y, z read u", "dropped"),
    "a view of a view": (DropCollection("v"), "w reads v", "dropped"),
}


@pytest.mark.parametrize(("operation", "who", "how"), TOLD.values(), ids=TOLD)
def test_views_that_lose_what_they_read_are_named_by_run_and_dry_run(
    viewed: Db, operation: DropCollection | RenameCollection, who: str, how: str
) -> None:
    told = one(viewed, operation).notes
    (step,) = run(viewed, operation).steps
    assert step.notes == told
    assert len(told) == 1
    assert f"{who}, which is {how}: " in told[0]
    assert told[0].endswith(f"empty while {operation.collection} does not exist")


def test_a_view_that_is_dropped_before_is_not_told_of(viewed: Db) -> None:
    plan = [DropCollection("w"), DropCollection("v"), DropCollection("x")]
    plan += [DropCollection("y"), DropCollection("z")]
    told = foretell(viewed, *plan, RenameCollection("u", "n"))
    assert [forecast.notes for forecast in told][-1] == ()
    steps = run(viewed, *plan, RenameCollection("u", "n")).steps
    assert steps[-1].notes == ()
