"""A dry run: what it foretells is what a run does, and it writes nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from bson import Timestamp
from bson.codec_options import CodecOptions, DatetimeConversion
from flask import Flask
from pymongo import MongoClient, monitoring
from pymongo.database import Database
from pymongo.errors import OperationFailure

from flask_dualmigrate import init, ops, upgrade
from flask_dualmigrate.backend import Failing, Forecast
from flask_dualmigrate.errors import OperationError
from flask_dualmigrate.mongo.forecast import counting
from flask_dualmigrate.mongo.run.rehearsal import Rehearsal
from flask_dualmigrate.mongo.run.runner import OperationRunner
from tests.integration.conftest import Tree
from tests.support.mongo.cases import CASES, Case
from tests.support.mongo.runs import (
    DOWN,
    REVISION,
    UP,
    complete,
    image,
    run,
    run_stopped,
)
from tests.support.mongo.seed import seed

Db = Database[Any]


def foretell(db: Db, *operations: ops.Operation, direction: Any = UP) -> list[Forecast]:
    runner = OperationRunner(db)
    records = {record.step: record for record in runner.records(REVISION, direction)}
    with db.client.start_session() as session:
        rehearsal = Rehearsal(runner, session)
        return list(rehearsal.foretell(REVISION, direction, operations, records))


def one(db: Db, operation: ops.Operation) -> Forecast:
    return foretell(db, operation)[0]


def last_write(db: Db, since: Timestamp | None = None) -> Timestamp:
    """Return when the server last wrote to a database, by its oplog.

    since: where an earlier call was; the oplog of a whole session is long. Without it,
    the last write to any database, which is as good to begin with.
    """
    # Other tests write dates that Python does not have.
    lax = CodecOptions[dict[str, Any]](
        datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    oplog = db.client.get_database("local", codec_options=lax)["oplog.rs"]
    if since is None:
        newest = oplog.find_one(sort=[("$natural", -1)])
        return newest["ts"] if newest else Timestamp(0, 0)
    mine = {"$regex": f"^{re.escape(db.name)}\\."}
    query = {"ts": {"$gt": since}, "$or": [{"ns": mine}, {"o.applyOps.ns": mine}]}
    return max((found["ts"] for found in oplog.find(query)), default=since)


@pytest.mark.parametrize("case", CASES.values(), ids=str)
@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
def test_a_dry_run_writes_nothing(mongo_db: Db, case: Case, filled: bool) -> None:
    if filled:
        seed(mongo_db)
    before, names = image(mongo_db), sorted(mongo_db.list_collection_names())
    written = last_write(mongo_db)
    foretell(mongo_db, case.operation)
    assert last_write(mongo_db, written) == written
    assert sorted(mongo_db.list_collection_names()) == names
    assert image(mongo_db) == before


FORETOLD = [
    case
    for case in CASES.values()
    if not isinstance(case.operation, ops.Run | ops.Transform)
]


@pytest.mark.parametrize("case", FORETOLD, ids=str)
def test_it_foretells_how_many_documents_a_run_writes(mongo_db: Db, case: Case) -> None:
    seed(mongo_db)
    forecast = one(mongo_db, case.operation)
    (result,) = run(mongo_db, case.operation).steps
    assert (forecast.writes or 0, forecast.problems) == (result.documents, ())


def test_a_conversion_counts_and_shows_what_would_be_lost(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n, "p": f"{n}"} for n in range(10))
    mongo_db.item.insert_many({"_id": -n, "p": f"bad {n}"} for n in range(1, 8))
    operation = ops.ConvertField("item", "p", to="int")
    forecast = one(mongo_db, operation)
    (failing,) = forecast.failing
    assert (failing.kind, failing.count, len(failing.samples)) == ("conversion", 7, 5)
    assert re.fullmatch(r"-\d \('bad \d'\)", failing.samples[0])
    with pytest.raises(OperationError) as refused:
        run(mongo_db, operation)
    assert forecast.problems[0].startswith(refused.value.what)


@pytest.mark.parametrize(
    "operation",
    [ops.RenameField("item", "a", "b"), ops.CopyField("item", "a", "b")],
    ids=["rename_field", "copy_field"],
)
def test_documents_with_both_fields_are_counted(
    mongo_db: Db, operation: ops.Operation
) -> None:
    mongo_db.item.insert_many([{"_id": 1, "a": 1, "b": 2}, {"_id": 2, "a": 1}])
    forecast = one(mongo_db, operation)
    assert forecast.failing == (Failing("collision", 1, ("1 (2)",)),)
    assert "has both a and b" in forecast.problems[0]


UNIQUE: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "differ": ([{"a": 1}, {"a": 2}, {}], {}),
    "equal": ([{"a": 1}, {"a": 1}], {}),
    "equal numbers of two types": ([{"a": 1}, {"a": 1.0}], {}),
    "missing and null": ([{}, {"a": None}], {}),
    "missing twice, sparse": ([{}, {}, {"a": 1}], {"sparse": True}),
    "null twice, sparse": ([{"a": None}, {"a": None}], {"sparse": True}),
    "equal outside of a partial filter": (
        [{"a": 1}, {"a": 1}, {"a": "x"}],
        {"partialFilterExpression": {"a": {"$type": "string"}}},
    ),
    "equal inside of a partial filter": (
        [{"a": "x"}, {"a": "x"}],
        {"partialFilterExpression": {"a": {"$type": "string"}}},
    ),
    "equal by a collation": (
        [{"a": "x"}, {"a": "X"}],
        {"collation": {"locale": "en", "strength": 2}},
    ),
    "case differs, no collation": ([{"a": "x"}, {"a": "X"}], {}),
    "an element of two arrays": ([{"a": [1, 2]}, {"a": [2, 3]}], {}),
    "an element twice in one array": ([{"a": [1, 1]}, {"a": [2]}], {}),
    "an element and a value": ([{"a": [1]}, {"a": 1}], {}),
    "two empty arrays": ([{"a": []}, {"a": []}], {}),
    "an empty array and null": ([{"a": []}, {"a": None}], {}),
    "documents in two orders": ([{"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}], {}),
}


@pytest.mark.parametrize(("documents", "options"), UNIQUE.values(), ids=UNIQUE)
def test_a_unique_index_fails_in_the_plan_if_it_fails_when_built(
    mongo_db: Db, documents: list[Any], options: dict[str, Any]
) -> None:
    mongo_db.item.insert_many(documents)
    operation = ops.CreateIndex(
        "item", (("a", 1),), "ux_a", {"unique": True, **options}
    )
    forecast = one(mongo_db, operation)
    try:
        run(mongo_db, operation)
        built = True
    except OperationError:
        built = False
    assert built is not bool(forecast.problems)
    assert built is not bool(forecast.failing)


def test_a_unique_index_shows_the_keys_that_are_double(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n, "a": n // 2, "b": {"c": 1}} for n in range(6))
    keys = (("a", 1), ("b.c", -1))
    forecast = one(mongo_db, ops.CreateIndex("item", keys, "ux", {"unique": True}))
    (failing,) = forecast.failing
    assert failing.count == 6
    assert failing.samples[0] == "{'a': 0, 'b.c': 1} (_id 0 and 1)"


@pytest.mark.parametrize(
    ("name", "options"),
    [("ix_other", {}), ("ix_a", {"unique": True})],
    ids=["the same key", "the same name"],
)
def test_an_index_in_the_way_is_foretold(
    mongo_db: Db, name: str, options: dict[str, Any]
) -> None:
    mongo_db.item.create_index([("a", 1)], name="ix_a")
    keys = (("a", 1),) if name == "ix_other" else (("b", 1),)
    operation = ops.CreateIndex("item", keys, name, options)
    with pytest.raises(OperationError):
        run(mongo_db, operation)
    assert len(one(mongo_db, operation).problems) == 1


def test_documents_that_a_new_validator_refuses_are_told_and_do_not_fail_it(
    mongo_db: Db,
) -> None:
    mongo_db.item.insert_many({"_id": n, "n": n} for n in range(4))
    schema = {"$jsonSchema": {"properties": {"n": {"minimum": 2}}}}
    forecast = one(mongo_db, ops.SetValidator("item", schema))
    assert forecast.failing == (Failing("validator", 2, ("0", "1"), fatal=False),)
    assert forecast.problems == ()
    assert forecast.notes[0].startswith(
        "2 documents do not match it: 0, 1; they remain"
    )


def test_a_batch_that_a_validator_would_refuse_is_a_problem(mongo_db: Db) -> None:
    mongo_db.create_collection("item", validator={"n": {"$lt": 5}})
    mongo_db.item.insert_many({"_id": n, "n": n} for n in range(4))
    operation = ops.Update("item", {}, {"$inc": {"n": 3}})
    assert one(mongo_db, operation).problems == (
        "The validator refuses the document with _id 2: comparison failed "
        "({'n': {'$lt': 5}}, value 5)",
    )
    eased = foretell(mongo_db, ops.SetValidator("item", None), operation)[1]
    assert eased.problems == ()


def test_an_insert_over_documents_that_are_there_is_a_problem(mongo_db: Db) -> None:
    mongo_db.item.insert_many([{"_id": 1}, {"_id": 2, "u": "x"}])
    mongo_db.item.create_index("u", unique=True, sparse=True)
    forecast = one(mongo_db, ops.Insert("item", ({"_id": 1}, {"_id": 3})))
    assert forecast.failing == (Failing("insert", 1, ("1",)),)
    (problem,) = one(mongo_db, ops.Insert("item", ({"_id": 4, "u": "x"},))).problems
    assert problem == "A unique index refuses a second document with {'u': 'x'}"


def test_names_are_followed_through_the_plan(mongo_db: Db) -> None:
    mongo_db.old.insert_many({"_id": n} for n in range(3))
    told = foretell(
        mongo_db,
        ops.RenameCollection("old", "new"),
        ops.AddField("new", "a", default=1),
        ops.AddField("old", "a", default=1),
        ops.DropCollection("new"),
        ops.CreateCollection("new"),
        ops.AddField("new", "b", default=1),
    )
    assert [forecast.matches for forecast in told] == [3, 3, 0, 3, None, 0]
    assert "counted in old, which is new then" in told[1].notes
    assert [forecast.problems for forecast in told] == [()] * 6


def test_a_count_that_an_operation_before_it_changes_is_told_as_such(
    mongo_db: Db,
) -> None:
    mongo_db.item.insert_many([{"_id": 1, "a": 1}, {"_id": 2, "a": 1}])
    mend = ops.Update("item", {"_id": 2}, {"$set": {"a": 2}})
    unique = ops.CreateIndex("item", (("a", 1),), "ux_a", {"unique": True})
    told = foretell(mongo_db, mend, unique)[1]
    assert told.problems == ()
    assert any(note.startswith("now it would fail") for note in told.notes)
    assert (
        "as it is now, before the operation above that writes to it" in told.notes[-1]
    )
    run(mongo_db, mend, unique)


def test_an_operation_on_another_field_mends_nothing(mongo_db: Db) -> None:
    mongo_db.item.insert_many([{"a": 1, "b": "1"}, {"a": 1, "b": "2"}])
    unique = ops.CreateIndex("item", (("a", 1),), "ux_a", {"unique": True})
    told = foretell(mongo_db, ops.ConvertField("item", "b", to="int"), unique)[1]
    assert len(told.problems) == 1
    assert told.notes == ()


def test_what_a_run_has_done_already_is_not_counted_again(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n, "n": n, "x": n} for n in range(20))
    operations = (
        ops.DropField("item", "x", batch_size=4),
        ops.Update("item", {}, {"$inc": {"n": 1}}, keep=True, batch_size=4),
    )
    assert run_stopped(mongo_db, 11, *operations)
    left = mongo_db.item.count_documents({"$expr": {"$eq": ["$n", "$_id"]}})
    assert 0 < left < 20
    dropped, updated = foretell(mongo_db, *operations)
    assert (dropped.writes, updated.writes) == (0, left)


def test_a_downgrade_tells_what_it_puts_back(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n, "x": n} for n in range(5))
    complete(mongo_db, ops.DropField("item", "x"))
    (told,) = foretell(mongo_db, ops.AddField("item", "x"), direction=DOWN)
    assert "restores up to 5 values that the upgrade kept" in told.notes


def test_a_count_that_takes_too_long_is_the_servers_estimate(
    mongo_db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    mongo_db.item.insert_many({"_id": n} for n in range(50))
    monkeypatch.setattr(counting, "LIMIT_S", 0.2)
    body = "function() { sleep(50); return true }"
    slow = {"$expr": {"$function": {"body": body, "args": [], "lang": "js"}}}
    forecast = one(mongo_db, ops.Update("item", slow, {"$set": {"a": 1}}))
    assert (forecast.matches, forecast.exact) == (50, False)
    assert forecast.notes[0].startswith(
        "more than could be counted in 0.2 s: the collection has about 50"
    )
    assert "a sample took more than" in forecast.notes[1]


def test_what_the_server_refuses_is_a_problem(mongo_db: Db) -> None:
    mongo_db.item.insert_one({})
    (problem,) = one(
        mongo_db, ops.Update("item", {"$or": 1}, {"$set": {"a": 1}})
    ).problems
    assert problem == "MongoDB refuses it: $or must be an array"


def test_it_says_how_a_batch_is_found(mongo_db: Db) -> None:
    mongo_db.item.insert_many({"_id": n, "n": n} for n in range(2000))
    mongo_db.item.create_index("n", name="ix_n")
    by_index = one(mongo_db, ops.Update("item", {"n": 7}, {"$set": {"a": 1}}))
    assert by_index.plan is not None
    assert "IXSCAN ix_n" in by_index.plan
    assert one(mongo_db, ops.AddField("item", "a", default=1)).plan == "IXSCAN _id_"


@pytest.fixture
def failing(tree: Tree, mongo_db: Db) -> Tree:
    """A revision whose conversion would fail, once the first one is applied."""
    tree.add("r1", mongo='op.create_collection("item")')
    init()
    upgrade()
    mongo_db.item.insert_many([{"_id": 1, "p": "1"}, {"_id": 2, "p": "x"}])
    tree.add("r2", mongo='op.convert_field("item", "p", to="int")')
    init()
    return tree


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


def test_a_dry_run_that_finds_a_problem_ends_with_3(failing: Tree, app: Flask) -> None:
    said = cli(app, "upgrade", "--dry-run")
    assert said.exit_code == 3
    assert "FAILS: 1 document of item has a p that cannot be" in said.stdout
    assert "1 problem would make the upgrade fail." in said.stdout
    assert cli(app, "upgrade").exit_code == 1


def test_json_carries_the_forecasts(failing: Tree, app: Flask) -> None:
    said = json.loads(cli(app, "upgrade", "--dry-run", "--json").stdout)
    (forecast,) = said["revisions"][0]["sides"][0]["forecasts"]
    assert said["ok"] is False
    assert forecast["matches"] == 1
    assert forecast["failing"] == [
        {"kind": "conversion", "count": 1, "samples": ["2 ('x')"], "fatal": True}
    ]


def test_a_dry_run_without_a_problem_ends_with_0(
    failing: Tree, app: Flask, mongo_db: Db
) -> None:
    mongo_db.item.delete_one({"_id": 2})
    mongo_db.item.insert_many({"_id": n, "p": str(n)} for n in range(3, 10))
    said = cli(app, "upgrade", "--dry-run")
    assert said.exit_code == 0, said.output
    assert "matches 8 documents, by IXSCAN _id_" in said.stdout


def test_a_key_that_a_document_has_which_is_not_written_is_told(mongo_db: Db) -> None:
    mongo_db.item.create_index("a.u", unique=True)
    mongo_db.item.insert_many([{"_id": 1, "a": {"u": 1}}, {"_id": 2, "a": {"u": 2}}])
    setting = ops.Update("item", {"_id": 1}, {"$set": {"a.u": 2}})
    (problem,) = one(mongo_db, setting).problems
    assert problem == "A unique index refuses a second document with {'a.u': 2}"
    insert = ops.Insert("item", ({"a": {"u": 1}},))
    (problem,) = one(mongo_db, insert).problems
    assert problem == "A unique index refuses a second document with {'a.u': 1}"


def test_a_dry_run_sends_no_write_to_the_collections_of_the_app(
    mongo_db: Db, mongo_url: str
) -> None:
    mongo_db.item.insert_many({"_id": n, "p": str(n)} for n in range(3))
    wrote = WritesTo()
    with MongoClient[Any](mongo_url, event_listeners=[wrote]) as client:
        told = foretell(
            client.get_database(mongo_db.name),
            ops.ConvertField("item", "p", to="int"),
            ops.Update("item", {}, {"$set": {"a": 1}}),
            ops.Insert("item", ({"_id": 9},)),
            ops.Delete("item", {}),
        )
    assert [each.problems for each in told] == [()] * 4
    assert wrote.collections
    assert "item" not in wrote.collections


class WritesTo(monitoring.CommandListener):
    """Collects the collections that documents are written to."""

    def __init__(self) -> None:
        self.collections: set[str] = set()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in ("insert", "update", "delete", "findAndModify"):
            self.collections.add(event.command[event.command_name])

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def test_dropping_an_index_that_is_not_there_is_told(mongo_db: Db) -> None:
    mongo_db.item.insert_one({})
    (told,) = foretell(mongo_db, ops.DropIndex("item", "ix_a"))
    assert told.notes == ("item has no index ix_a: nothing to do",)
    with pytest.raises(OperationFailure):
        mongo_db.item.drop_index("ix_a")
