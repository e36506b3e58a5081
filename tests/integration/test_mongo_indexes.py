"""`index …` on MongoDB: what is there, what is declared, and what is done about it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure

from flask_dualmigrate import (
    IntegrityError,
    OperationError,
    UsageError,
    index_commands,
    index_diff,
    index_drop,
    index_list,
    index_rebuild,
    index_sync,
    init,
    upgrade,
)
from flask_dualmigrate.embedded.wheels import mongod_program
from flask_dualmigrate.errors import LockLost
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.indexes import (
    BuildProgress,
    DeclaredIndexes,
    IndexDiffResult,
    IndexSyncResult,
    Remedy,
    State,
    Verdict,
)
from flask_dualmigrate.mongo.indexes import MongoIndexes

from .conftest import MakeApp, Tree

Db = Database[dict[str, Any]]
MakeModels = Callable[..., Flask]


@pytest.fixture
def with_models(make_app: MakeApp) -> Iterator[MakeModels]:
    """Return a function that pushes an app on MongoDB whose items have some indexes."""
    contexts = []

    def make(*arguments: Any, documents: Any = (), **settings: Any) -> Flask:
        db = SQLAlchemy()
        columns = ("a", "b", "t")
        sa.Table(
            "items",
            db.metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            *(sa.Column(name, sa.Text, nullable=False) for name in columns),
            *arguments,
        )
        app = make_app(
            db=db,
            active="mongo",
            collections={"items": "item"},
            documents=documents,
            **settings,
        )
        contexts.append(app.app_context())
        contexts[-1].push()
        init()
        return app

    yield make
    for context in reversed(contexts):
        context.pop()


def verdicts(result: IndexDiffResult) -> dict[str, str]:
    return {item.name: str(item.verdict) for item in result.differences}


def sync(**options: Any) -> IndexSyncResult:
    return index_commands.sync_indexes(environment_of(), **options)


def spec(db: Db, name: str, collection: str = "item") -> dict[str, Any]:
    specs = {each["name"]: dict(each) for each in db[collection].list_indexes()}
    return specs[name]


def names(db: Db, collection: str = "item") -> set[str]:
    return {each["name"] for each in db[collection].list_indexes()} - {"_id_"}


def ix_a(*key: Any, **options: Any) -> sa.Index:
    return sa.Index("ix_a", *(key or ["a"]), **options)


def test_a_list_tells_key_options_size_and_use(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models()
    mongo_db.item.insert_many([{"a": i} for i in range(10)])
    mongo_db.item.create_index([("a", -1)], name="ix", unique=True, hidden=False)
    mongo_db.item.find_one({"a": 3}, hint="ix")
    mongo_db["_migrations_lock"].create_index("x")
    mongo_db["_aside_1"].create_index("x")

    _, index = index_list().indexes

    assert (index.place, index.name, index.key) == ("item", "ix", (("a", -1),))
    assert dict(index.options) == {"unique": True}
    assert index.size_bytes
    assert index.uses == 1
    assert index.since is not None


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere", "no collection nowhere"),
        ("look", "is a view"),
        ("_aside_1", "belongs"),
    ],
)
def test_what_has_no_indexes_says_why(
    with_models: MakeModels, mongo_db: Db, place: str, said: str
) -> None:
    with_models()
    mongo_db.command({"create": "item"})
    mongo_db.command({"create": "_aside_1"})
    mongo_db.command({"create": "look", "viewOn": "item", "pipeline": []})

    for verb in (index_list, index_diff):
        with pytest.raises(UsageError, match=said):
            verb(place)
    with pytest.raises(UsageError, match=said):
        index_rebuild(place, "ix")


def test_a_time_series_collection_has_its_indexes_listed_and_rebuilt(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models()
    mongo_db.create_collection("ts", timeseries={"timeField": "t", "metaField": "m"})
    mongo_db.ts.create_index([("m", 1)], name="ix_m")

    index_rebuild("ts", "ix_m")

    assert [index.name for index in index_list("ts").indexes] == ["ix_m"]
    index_drop("ts", "ix_m")
    assert index_list("ts").indexes == ()


CASES: dict[str, tuple[Callable[[], sa.Index], list[dict[str, Any]], str]] = {
    "missing": (ix_a, [], "MISSING"),
    "ok": (ix_a, [{"key": {"a": 1.0}, "name": "ix_a"}], "OK"),
    "hidden": (
        ix_a,
        [{"key": {"a": 1}, "name": "ix_a", "hidden": True}],
        "CONFLICT",
    ),
    "ttl": (
        ix_a,
        [{"key": {"a": 1}, "name": "ix_a", "expireAfterSeconds": 9}],
        "CONFLICT",
    ),
    "other key (86)": (ix_a, [{"key": {"b": 1}, "name": "ix_a"}], "CONFLICT"),
    "twin (85)": (ix_a, [{"key": {"a": 1}, "name": "old"}], "CONFLICT"),
    "twin with a ttl (85)": (
        ix_a,
        [{"key": {"a": 1}, "name": "old", "expireAfterSeconds": 9}],
        "CONFLICT",
    ),
    "not unique": (
        lambda: ix_a(unique=True),
        [{"key": {"a": 1}, "name": "ix_a"}],
        "CONFLICT",
    ),
    "other key, and a twin (86, 85)": (
        ix_a,
        [{"key": {"b": 1}, "name": "ix_a"}, {"key": {"a": 1}, "name": "old"}],
        "CONFLICT",
    ),
    "collation": (
        lambda: ix_a(sa.text("lower(a)")),
        [{"key": {"a": 1}, "name": "ix_a", "collation": {"locale": "fr"}}],
        "CONFLICT",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_sync_makes_what_is_there_what_is_declared(
    with_models: MakeModels, mongo_db: Db, case: str
) -> None:
    make, there, verdict = CASES[case]
    with_models(make())
    mongo_db.item.insert_one({"a": "x", "b": "y"})
    if there:
        mongo_db.command({"createIndexes": "item", "indexes": there})
    assert verdicts(index_diff()) == {"ix_a": verdict}

    assert sync().ok

    assert verdicts(index_diff()) == {"ix_a": "OK"}
    assert names(mongo_db) == {"ix_a"}
    assert sync().actions == ()


def test_a_ttl_and_hidden_are_changed_without_a_build(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(documents=())
    script = 'op.create_index("item", "d", name="ttl", expireAfterSeconds=60)'
    apply_script(script)
    mongo_db.command(
        {
            "collMod": "item",
            "index": {"name": "ttl", "expireAfterSeconds": 5, "hidden": True},
        }
    )
    before = file_of(mongo_db, "ttl")
    (difference,) = index_diff().differences
    assert difference.remedy is Remedy.MODIFY

    sync()

    assert spec(mongo_db, "ttl")["expireAfterSeconds"] == 60
    assert "hidden" not in spec(mongo_db, "ttl")
    assert file_of(mongo_db, "ttl") == before


def file_of(db: Db, name: str) -> str:
    """Return the file that an index is kept in: another one if it was built anew."""
    (entry,) = db.item.aggregate([{"$listCatalog": {}}])
    return str(entry["idxIdent"][name])


def apply_script(mongo: str, *more: str) -> None:
    """Write revisions by hand and apply them."""
    directory = environment_of().config.directory
    tree = Tree(Path(directory))
    for number, body in enumerate((mongo, *more)):
        tree.add(f"r{number}", mongo=body)
    init()
    upgrade()


def test_nothing_undeclared_is_dropped_unless_it_is_asked_for(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a())
    mongo_db.item.create_index("b", name="stray")

    result = sync()
    assert names(mongo_db) == {"ix_a", "stray"}
    assert result.ok
    assert [item.name for item in result.remaining] == ["stray"]
    assert not index_diff().ok

    sync(drop_undeclared=True)
    assert names(mongo_db) == {"ix_a"}


@pytest.mark.parametrize("case", ["drop", "replace"])
def test_who_says_no_keeps_every_index(
    with_models: MakeModels, mongo_db: Db, case: str
) -> None:
    with_models(ix_a())
    mongo_db.item.create_index("b", name="ix_a" if case == "replace" else "stray")
    asked: list[str] = []

    def refuse(losses: Any) -> None:
        asked.extend(losses)
        raise UsageError("You said no")

    before = names(mongo_db)
    with pytest.raises(UsageError, match="said no"):
        sync(drop_undeclared=True, confirm=refuse)

    assert names(mongo_db) == before
    assert len(asked) == 1
    assert "ix_a" in asked[0] or "stray" in asked[0]


def test_a_dry_run_says_what_a_sync_does_and_touches_nothing(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a(), sa.Index("ix_b", "b"))
    mongo_db.item.create_index("b", name="old")
    mongo_db.item.create_index("x", name="stray")

    foreseen = index_sync(dry_run=True, drop_undeclared=True)

    assert names(mongo_db) == {"old", "stray"}
    done = index_sync(drop_undeclared=True)
    assert foreseen.actions == done.actions
    assert [str(action.action) for action in done.actions] == [
        "create",
        "replace",
        "drop",
    ]


def test_a_unique_index_over_double_keys_is_one_clear_error(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a(unique=True), sa.Index("ix_b", "b"))
    mongo_db.item.insert_many([{"a": "x"}, {"a": "x"}])
    mongo_db.item.create_index("a", name="ix_a")
    mongo_db.item.create_index("b", name="old")
    before = spec(mongo_db, "ix_a")

    with pytest.raises(OperationError, match=r" ix_a of item.*'a': 'x'") as raised:
        sync()

    assert raised.value.__notes__ == ["Done: replace item.old by ix_b (MongoDB)"]
    assert spec(mongo_db, "ix_a") == before
    assert names(mongo_db) == {"ix_a", "ix_b"}


def test_two_names_that_were_swapped_are_refused_before_anything_is_changed(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a(), sa.Index("ix_b", "b"))
    mongo_db.item.create_index("b", name="ix_a")
    mongo_db.item.create_index("a", name="ix_b")

    with pytest.raises(OperationError, match="index drop item ix_b"):
        sync()

    assert names(mongo_db) == {"ix_a", "ix_b"}


def test_pending_revisions_are_applied_first(with_models: MakeModels) -> None:
    with_models(ix_a())
    Tree(Path(environment_of().config.directory)).add("r1")
    init()

    with pytest.raises(IntegrityError, match="r1"):
        sync()


def test_what_the_scripts_made_by_hand_is_declared(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models()
    apply_script(
        """
        op.create_index("old", "x", name="ix_x")
        op.create_index("old", "y", name="ix_y")
        op.create_index("gone", "y", name="ix_z")
        """,
        """
        op.drop_index("old", "ix_y")
        op.rename_collection("old", "new")
        op.drop_collection("gone", keep=False)
        """,
    )

    (difference,) = index_diff().differences

    assert (difference.place, difference.name) == ("new", "ix_x")
    assert difference.verdict is Verdict.OK
    assert difference.declared is not None
    assert difference.declared.sources == ("revision r0",)


def test_a_collections_default_collation_is_no_difference(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a())
    mongo_db.create_collection("item", collation={"locale": "fr"})
    mongo_db.item.create_index("a", name="ix_a")

    assert index_diff().ok


def test_the_index_that_a_time_series_collection_comes_with_is_not_undeclared(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models()
    mongo_db.create_collection("ts", timeseries={"timeField": "t", "metaField": "m"})
    mongo_db.ts.create_index([("m", 1), ("t", 1)])
    mongo_db.ts.create_index([("x", 1)], name="ix_x")

    assert verdicts(index_diff()) == {"ix_x": "UNDECLARED"}


def test_the_indexes_of_gridfs_are_not_undeclared(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models()
    mongo_db.fs.chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
    mongo_db.fs.files.create_index([("filename", 1), ("uploadDate", 1)])

    assert index_diff().differences == ()


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
    assert "one a collection" in str(result.remaining[0].why)


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

    monkeypatch.setattr("flask_dualmigrate.mongo.indexes._pause", interrupted)
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
    monkeypatch.setattr("flask_dualmigrate.mongo.index_builds._WATCH_S", 0.05)
    with_models()
    mongo_db.big.create_index([("$**", 1)], name="ix")
    told: list[BuildProgress] = []

    index_commands.rebuild_index(environment_of(), "big", "ix", on_build=told.append)

    assert {each.place for each in told} == {"big"}
    assert {"_rebuild_ix", "ix"} == {each.name for each in told}
    assert any(each.done and each.total for each in told)


def test_a_script_that_was_edited_is_what_is_declared(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a())
    tree = Tree(Path(environment_of().config.directory))
    columns = 'sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text)'
    tree.add(
        "r0",
        postgres=f'op.create_table("items", {columns})\n'
        'op.create_index("ix_a", "items", ["a"])',
        mongo='op.create_index("item", "a", name="ix_a", sparse=True)',
    )
    init()
    upgrade()

    (difference,) = index_diff().differences

    assert difference.verdict is Verdict.OK
    assert difference.declared is not None
    assert difference.declared.sources == ("revision r0",)


def test_a_model_that_changed_since_is_what_is_declared(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a(unique=True))
    apply_script('op.create_index("item", "a", name="ix_a")')

    (difference,) = index_diff().differences

    assert difference.verdict is Verdict.CONFLICT
    assert difference.why == "unique is not set, declared is True"


@pytest.fixture
def uri_of(folder: Path) -> Iterator[Callable[..., str]]:
    """Return the URI of a standalone server for a user with just these roles."""
    data, port = folder / "data", 32_000 + os.getpid() % 700
    data.mkdir()
    where = ("--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket")
    program = [str(mongod_program(folder)), "--dbpath", str(data), *where, "--auth"]
    server = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    with MongoClient[dict[str, Any]]("127.0.0.1", port) as client:
        client.admin.command("createUser", "root", pwd="x", roles=["root"])
    root = f"mongodb://root:x@127.0.0.1:{port}/"

    def make(*names: str) -> str:
        roles = [{"role": name, "db": "app"} for name in names]
        with MongoClient[dict[str, Any]](root) as client:
            client.app.item.create_index("a", name="ix")
            client.admin.command("createUser", "user", pwd="x", roles=roles)
        return f"mongodb://user:x@127.0.0.1:{port}/app?authSource=admin"

    yield make
    server.terminate()
    server.wait()


def test_a_user_who_may_not_see_uses_gets_the_rest(
    uri_of: Callable[..., str], make_app: MakeApp
) -> None:
    app = make_app(db=SQLAlchemy(), active="mongo", urls={"mongo": uri_of("read")})
    with app.app_context():
        result = index_list()
        (difference,) = index_diff().differences

    assert [(index.name, index.uses) for index in result.indexes] == [
        ("_id_", None),
        ("ix", None),
    ]
    assert result.indexes[1].size_bytes
    assert "may not see how often" in result.notes[0]
    assert difference.verdict is Verdict.UNDECLARED


def test_a_standalone_server_and_the_roles_that_are_named_are_enough(
    uri_of: Callable[..., str], with_models: MakeModels
) -> None:
    uri = uri_of("readWrite", "dbAdmin")
    with_models(sa.Index("ix_b", "b"), urls={"mongo": uri})

    index_rebuild("item", "ix")
    assert index_sync(drop_undeclared=True).ok

    assert verdicts(index_diff()) == {"ix_b": "OK"}


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
