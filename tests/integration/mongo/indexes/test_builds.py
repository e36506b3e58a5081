"""`index rebuild` and `drop` on MongoDB, and builds that are under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure

from flask_dualmigrate import (
    UsageError,
    index_diff,
    index_drop,
    index_list,
    index_rebuild,
)
from flask_dualmigrate.errors import LockLost
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.indexes import BuildProgress, DeclaredIndexes, State
from flask_dualmigrate.mongo.indexes.indexes import MongoIndexes
from flask_dualmigrate.verbs import index
from tests.support.mongo.index_apps import (
    Db,
    MakeModels,
    apply_script,
    file_of,
    names,
    spec,
    sync,
    verdicts,
)

REBUILT: dict[str, dict[str, Any]] = {
    "plain": {"key": {"a": 1, "b": -1}},
    "unique": {"key": {"a": 1}, "unique": True},
    "sparse": {"key": {"a": 1}, "sparse": True},
    "unique sparse compound": {"key": {"a": 1, "b": 1}, "sparse": True, "unique": True},
    "partial": {"key": {"a": 1}, "partialFilterExpression": {"b": {"$gt": 3}}},
    "partial on null": {"key": {"a": 1}, "partialFilterExpression": {"b": None}},
    "ttl": {"key": {"d": 1}, "expireAfterSeconds": 60},
    "hidden": {"key": {"a": 1}, "hidden": True},
    "collation": {"key": {"a": 1}, "collation": {"locale": "fr"}},
    "hashed": {"key": {"a": "hashed"}},
    "wildcard": {"key": {"$**": 1}, "wildcardProjection": {"a": 1}},
    "2dsphere": {"key": {"g": "2dsphere"}},
    "2d": {"key": {"g": "2d"}, "bits": 20},
}


@pytest.mark.parametrize("case", REBUILT)
def test_a_rebuilt_index_is_what_it_was(
    with_models: MakeModels, mongo_db: Db, case: str
) -> None:
    with_models()
    mongo_db.item.insert_many([{"a": i, "b": i % 5} for i in range(50)])
    wanted = {**REBUILT[case], "name": "ix"}
    mongo_db.command({"createIndexes": "item", "indexes": [wanted]})
    before = spec(mongo_db, "ix")
    file = file_of(mongo_db, "ix")

    index_rebuild("item", "ix")

    assert spec(mongo_db, "ix") == before
    assert names(mongo_db) == {"ix"}
    assert file_of(mongo_db, "ix") != file


@pytest.mark.parametrize("case", ["unique", "sparse", "partial"])
def test_no_query_goes_without_and_nothing_double_gets_in_meanwhile(
    with_models: MakeModels, mongo_db: Db, case: str
) -> None:
    with_models()
    mongo_db.item.insert_many([{"a": i, "b": 5} for i in range(2000)])
    wanted = {**REBUILT[case], "name": "ix", "unique": True}
    mongo_db.command({"createIndexes": "item", "indexes": [wanted]})
    stop, seen, let_in = threading.Event(), set(), []

    def use() -> None:
        query = mongo_db.item.find({"a": 7, "b": {"$gt": 4}})
        while not stop.is_set():
            plan = query.clone().explain()["queryPlanner"]["winningPlan"]
            seen.add(plan.get("inputStage", plan)["stage"])
            with suppress(DuplicateKeyError):
                let_in.append(mongo_db.item.insert_one({"a": 7, "b": 5}))

    user = threading.Thread(target=use)
    user.start()
    for _ in range(5):
        index_rebuild("item", "ix")
    stop.set()
    user.join()

    assert seen == {"IXSCAN"}
    assert let_in == []


@pytest.mark.parametrize("had", ["the old one", "no old one"])
def test_a_rebuild_that_was_stopped_is_carried_on(
    with_models: MakeModels, mongo_db: Db, had: str
) -> None:
    with_models()
    mongo_db.item.insert_one({"a": 1})
    wanted = {"key": {"a": 1}, "unique": True, "partialFilterExpression": {}}
    specs = [{**wanted, "name": "_rebuild_ix"}]
    if had == "the old one":
        specs.append({"key": {"a": 1}, "unique": True, "name": "ix"})
    mongo_db.command({"createIndexes": "item", "indexes": specs})

    index_rebuild("item", "ix")

    assert names(mongo_db) == {"ix"}
    assert spec(mongo_db, "ix") == {
        **{"v": 2, "key": {"a": 1}},
        **{"name": "ix", "unique": True},
    }


def test_a_text_index_is_not_rebuilt_and_stays(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models()
    mongo_db.item.create_index([("t", "text")], name="words")

    with pytest.raises(UsageError, match=r"text index.*nothing was changed"):
        index_rebuild("item", "words")

    assert names(mongo_db) == {"words"}


def test_a_second_text_index_is_a_conflict_that_sync_leaves(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models()
    apply_script('op.create_index("item", [("t", "text")], name="words")')
    mongo_db.item.drop_index("words")
    mongo_db.item.create_index([("u", "text")], name="other")

    result = sync(drop_undeclared=True)

    assert not result.ok
    assert names(mongo_db) == {"other"}
    assert "one per collection" in str(result.remaining[0].why)


@pytest.mark.parametrize("name", ["_id_", "nope"])
def test_what_cannot_be_dropped_is_refused(
    with_models: MakeModels, mongo_db: Db, name: str
) -> None:
    with_models()
    mongo_db.item.create_index("a", name="ix")

    with pytest.raises(UsageError):
        index_drop("item", name)

    assert names(mongo_db) == {"ix"}


def test_an_index_is_hidden_before_it_is_dropped_and_ctrl_c_brings_it_back(
    with_models: MakeModels, mongo_db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_models()
    mongo_db.item.create_index("a", name="ix")
    hidden = []

    def interrupted(seconds: float) -> None:
        hidden.append((seconds, spec(mongo_db, "ix").get("hidden")))
        raise KeyboardInterrupt

    monkeypatch.setattr("flask_dualmigrate.mongo.indexes.indexes._pause", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index_drop("item", "ix", hidden_for_s=30)

    assert hidden == [(30, True)]
    assert "hidden" not in spec(mongo_db, "ix")


@pytest.fixture
def slow_build(mongo_db: Db, mongo_url: str) -> Iterator[Callable[[], None]]:
    """Return a function that starts a build of some seconds, `slow` of `big`."""
    fields = {f"f{i}": i for i in range(150)}
    for start in range(0, 8000, 2000):
        mongo_db.big.insert_many([{**fields, "_id": start + i} for i in range(2000)])
    threads: list[threading.Thread] = []

    def build() -> None:
        client = MongoClient[dict[str, Any]](mongo_url)
        with client, suppress(OperationFailure):  # a test drops it meanwhile
            big = client.get_default_database().big
            big.create_index([("$**", 1)], name="slow")

    def start_build() -> None:
        threads.append(threading.Thread(target=build))
        threads[0].start()
        while "slow" not in names(mongo_db, "big"):
            time.sleep(0.01)

    yield start_build
    for thread in threads:
        thread.join()


def test_an_unfinished_build_is_seen_and_waited_for(
    with_models: MakeModels, mongo_db: Db, slow_build: Callable[[], None]
) -> None:
    with_models()
    apply_script('op.create_index("big", "$**", name="slow")')
    mongo_db.big.drop_index("slow")
    told: list[BuildProgress] = []
    slow_build()

    assert verdicts(index_diff("big")) == {"slow": "BUILDING"}
    assert index_list("big").indexes[1].state is State.BUILDING
    result = sync(on_build=told.append)

    assert result.ok
    assert result.actions == ()
    assert verdicts(index_diff("big")) == {"slow": "OK"}
    assert any(each.total for each in told)


def test_a_build_under_way_is_stopped_by_a_drop(
    with_models: MakeModels, mongo_db: Db, slow_build: Callable[[], None]
) -> None:
    with_models()
    slow_build()

    index_drop("big", "slow")

    assert names(mongo_db, "big") == set()


def test_a_build_says_how_far_it_is(
    with_models: MakeModels,
    mongo_db: Db,
    slow_build: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flask_dualmigrate.mongo.indexes.builds._WATCH_S", 0.05)
    with_models()
    mongo_db.big.create_index([("$**", 1)], name="ix")
    told: list[BuildProgress] = []

    index.rebuild_index(environment_of(), "big", "ix", on_build=told.append)

    assert {each.place for each in told} == {"big"}
    assert {"_rebuild_ix", "ix"} == {each.name for each in told}
    assert any(each.done and each.total for each in told)


def test_nothing_is_changed_once_the_lock_is_lost(mongo_db: Db) -> None:
    mongo_db.item.create_index("a", name="ix")

    def lost() -> None:
        raise LockLost("The lock was lost")

    side = MongoIndexes(mongo_db, DeclaredIndexes, require_lock=lost)
    with pytest.raises(LockLost):
        side.rebuild("item", "ix", lambda progress: None)
    with pytest.raises(LockLost):
        side.drop("item", "ix")

    assert names(mongo_db) == {"ix"}
    assert "hidden" not in spec(mongo_db, "ix")
