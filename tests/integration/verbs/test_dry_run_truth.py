"""A dry run says no false things: what a run refuses, keeps and puts back is told."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from flask_dualmigrate import ops
from flask_dualmigrate.backend import Failing
from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.forecast import sample
from tests.integration.verbs.test_dry_run import foretell, last_write, one
from tests.support.mongo.runs import DOWN, complete, run

Db = Database[Any]

REFUSED: dict[str, ops.Operation] = {
    "an unknown modifier": ops.Update("item", {}, {"$sett": {"n": 1}}),
    "a division by zero": ops.AddField("item", "k", using={"$divide": [1, "$u"]}),
    "an unknown option": ops.CreateIndex("item", (("u", 1),), "x", {"bogus": 1}),
    "a time-series collection": ops.RenameCollection("series", "other"),
    "a view": ops.CreateIndex("seen", (("u", 1),), "x"),
}


def seed_refusals(db: Db) -> None:
    db.item.insert_many({"_id": n, "u": n} for n in range(3))
    db.create_collection("series", timeseries={"timeField": "at"})
    db.create_collection("seen", viewOn="item", pipeline=[])


@pytest.mark.parametrize("operation", REFUSED.values(), ids=REFUSED)
def test_what_the_server_refuses_is_one_problem(
    mongo_db: Db, operation: ops.Operation
) -> None:
    seed_refusals(mongo_db)
    written = last_write(mongo_db)
    assert len(one(mongo_db, operation).problems) == 1
    assert last_write(mongo_db, written) == written
    with pytest.raises(OperationError):
        run(mongo_db, operation)


def test_a_refusal_that_an_operation_before_may_mend_is_a_note(mongo_db: Db) -> None:
    seed_refusals(mongo_db)
    mend = ops.Update("item", {}, {"$set": {"u": 1}})
    told = foretell(mongo_db, mend, REFUSED["a division by zero"])[1]
    assert told.problems == ()
    assert told.notes[0].startswith("now it would fail: MongoDB refuses it: ")
    run(mongo_db, mend, REFUSED["a division by zero"])


def test_no_operation_before_mends_the_definition_of_an_index(mongo_db: Db) -> None:
    seed_refusals(mongo_db)
    written = ops.Update("item", {}, {"$set": {"u": 1}})
    told = foretell(mongo_db, written, REFUSED["an unknown option"])[1]
    assert len(told.problems) == 1


@pytest.mark.parametrize(
    "options",
    [{}, {"collation": {"locale": "de"}}, {"capped": True, "size": 4096}],
    ids=["plain", "with a collation", "capped"],
)
def test_a_definition_that_the_server_takes_is_no_problem(
    mongo_db: Db, options: dict[str, Any]
) -> None:
    mongo_db.create_collection("item", **options)
    simple = {"collation": {"locale": "simple"}}
    operations = (
        ops.CreateIndex("item", (("a", 1), ("b.c", -1)), "one", {"unique": True}),
        ops.CreateIndex("item", (("a", "text"),), "two", simple),
        ops.CreateIndex("item", (("$**", 1),), "three"),
    )
    told = foretell(mongo_db, *operations)
    assert [forecast.problems for forecast in told] == [()] * 3
    run(mongo_db, *operations)


def test_after_a_run_of_the_script_a_refusal_is_a_note(mongo_db: Db) -> None:
    mongo_db.item.insert_many([{"u": 1}, {"u": 1}])
    unique = ops.CreateIndex("item", (("u", 1),), "ux", {"unique": True})
    told = foretell(mongo_db, ops.Run(print, idempotent=True), unique)[1]
    assert told.problems == ()
    assert told.notes[0].startswith("now it would fail: The unique index ux")


def test_a_time_series_collection_is_not_renamed_to_a_name_made_free(
    mongo_db: Db,
) -> None:
    seed_refusals(mongo_db)
    told = foretell(
        mongo_db, ops.DropCollection("item"), ops.RenameCollection("series", "item")
    )[1]
    assert len(told.problems) == 1
    assert "which MongoDB cannot rename" in told.problems[0]


def test_a_collection_that_is_not_there_is_not_said_to_be_in_the_way(
    mongo_db: Db,
) -> None:
    mongo_db.new.insert_one({"x": 1})
    operations = ops.RenameCollection("old", "new"), ops.DropField("new", "x")

    renamed, dropped = foretell(mongo_db, *operations)

    assert renamed.problems == ()
    assert renamed.notes == ("old does not exist: nothing to do",)
    assert (dropped.matches, dropped.problems) == (1, ())
    run(mongo_db, *operations)


def test_a_sample_that_takes_too_long_is_no_problem(
    mongo_db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    mongo_db.item.insert_many({"_id": n} for n in range(50))
    monkeypatch.setattr(sample, "LIMIT_S", 0.2)
    body = "function() { sleep(50); return 1 }"
    slow = {"$function": {"body": body, "args": [], "lang": "js"}}
    told = one(mongo_db, ops.AddField("item", "a", using=slow))
    assert told.problems == ()
    told_so = (
        "it was not tried whether the server accepts it: a sample took more than 0.2 s"
    )
    assert told_so in told.notes


def test_a_downgrades_insert_tells_what_comes_back(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n} for n in range(5))
    complete(mongo_db, ops.Delete("item", {"_id": {"$lt": 3}}))
    (told,) = foretell(mongo_db, ops.Insert("item", ()), direction=DOWN)
    assert told.writes is None
    assert told.notes == ("restores up to 3 documents that the upgrade kept",)


def test_a_field_without_a_default_is_told_without_a_wrong_reason(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n, "x": n} for n in range(5))
    complete(mongo_db, ops.DropField("item", "x"))
    (told,) = foretell(mongo_db, ops.AddField("item", "x"), direction=DOWN)
    assert told.notes == ("restores up to 5 values that the upgrade kept",)


def test_a_downgrade_tells_of_the_collection_that_comes_back(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n} for n in range(5))
    complete(mongo_db, ops.DropCollection("item"))
    (told,) = foretell(mongo_db, ops.CreateCollection("item"), direction=DOWN)
    assert told.notes[0].startswith("restores what the upgrade kept as _aside")
    assert told.notes[0].endswith("with 5 documents")


@pytest.mark.parametrize(
    ("on_error", "words"),
    [("null", "values become null"), ("keep", "values remain as they are")],
)
def test_values_that_do_not_convert_are_shown_where_that_is_no_failure(
    mongo_db: Db, on_error: Any, words: str
) -> None:
    values = ["1", "2", "x", "y"]
    mongo_db.item.insert_many({"_id": n, "p": p} for n, p in enumerate(values))
    told = one(mongo_db, ops.ConvertField("item", "p", to="int", on_error=on_error))
    assert told.problems == ()
    assert told.notes == (f"2 {words}: 2 ('x'), 3 ('y')",)
    shown = ("2 ('x')", "3 ('y')")
    assert told.failing == (Failing("conversion", 2, shown, fatal=False),)


def test_a_collection_that_does_not_exist_is_told(mongo_db: Db) -> None:
    change = ops.Update("nope", {}, {"$set": {"a": 1}})
    assert one(mongo_db, change).notes == ("collection nope does not exist",)


@pytest.mark.parametrize(
    "maker",
    [ops.CreateCollection("nope"), ops.Insert("nope", ({"_id": 1},))],
    ids=["create_collection", "insert"],
)
def test_a_collection_that_the_plan_makes_is_not_missed(
    mongo_db: Db, maker: ops.Operation
) -> None:
    told = foretell(mongo_db, maker, ops.Update("nope", {}, {"$set": {"a": 1}}))[1]
    assert not any("does not exist" in note for note in told.notes)


def test_a_downgrade_counts_what_the_upgrade_converted_alone(mongo_db: Db) -> None:
    mongo_db.t.insert_many([{"v": v} for v in ("1", "abc", True, "2")])
    complete(mongo_db, ops.ConvertField("t", "v", to="int", on_error="keep"))
    back = ops.ConvertField("t", "v", to="string", on_error="keep")
    (forecast,) = foretell(mongo_db, back, direction=DOWN)
    assert forecast.matches == 2
