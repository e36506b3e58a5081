"""`index list`, `diff` and `sync` on MongoDB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_dualmigrate import (
    IntegrityError,
    OperationError,
    UsageError,
    index_diff,
    index_drop,
    index_list,
    index_rebuild,
    index_sync,
    init,
)
from flask_dualmigrate.extension import environment_of
from flask_dualmigrate.indexes import Remedy, Verdict
from tests.integration.conftest import Tree
from tests.support.mongo.index_apps import (
    Db,
    MakeModels,
    apply_script,
    file_of,
    ix_a,
    names,
    spec,
    sync,
    verdicts,
)


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
        ("nowhere", "Collection nowhere does not exist"),
        ("look", "is a view"),
        ("_aside_1", "reserved for migrations"),
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


def test_an_undeclared_twin_that_is_in_the_way_goes_only_if_it_is_asked_for(
    with_models: MakeModels, mongo_db: Db
) -> None:
    with_models(ix_a())
    mongo_db.item.create_index("b", name="ix_a")  # 86, and the twin 85
    mongo_db.item.create_index("a", name="twin")
    there = {"ix_a": "CONFLICT", "twin": "UNDECLARED"}
    assert verdicts(index_diff()) == there

    left = sync()
    assert (left.ok, left.actions, verdicts(index_diff())) == (False, (), there)
    assert index_sync(dry_run=True).actions == ()

    asked: list[str] = []
    foreseen = index_sync(dry_run=True, drop_undeclared=True)
    done = sync(drop_undeclared=True, confirm=asked.extend)
    assert done.ok
    assert verdicts(index_diff()) == {"ix_a": "OK"}
    assert names(mongo_db) == {"ix_a"}
    assert asked == [action.text for action in done.actions]
    assert asked[0].startswith("rebuild item.ix_a as declared (key is (b 1)")
    assert asked[1:] == ["drop item.twin"]
    assert foreseen.actions == done.actions


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

    assert raised.value.__notes__ == ["Done: replace item.old with ix_b (MongoDB)"]
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
