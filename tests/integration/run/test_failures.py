"""A script that fails, in each place: both sides stand where they stood."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from bson import Decimal128, Int64
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import PartialFailure, downgrade, init, status, upgrade
from tests.integration.conftest import Tree
from tests.support.snapshots import mongo_snapshot, postgres_snapshot, stamps

TABLES = """
op.create_table("owner", sa.Column("id", sa.Integer, primary_key=True))
op.create_table(
    "item",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(20)),
    sa.Column(
        "owner_id",
        sa.Integer,
        sa.ForeignKey("owner.id", deferrable=True, initially="DEFERRED"),
    ),
)
op.execute("INSERT INTO item VALUES (1, 'lamp', NULL), (2, 'desk', NULL)")
"""
DROP_TABLES = "op.drop_table('item'); op.drop_table('owner')"
DOCUMENTS: list[dict[str, Any]] = [
    {"_id": 1, "name": "lamp", "price": Decimal128("1.50"), "gone": None, "z": 1},
    {"_id": "b", "price": Int64(7), "name": "desk", "gone": 3, "z": {"b": 1, "a": 2}},
    {"_id": 2.5, "z": [1, {"y": 2}], "name": "pen"},
]
MONGO_STEPS = (
    'op.create_collection("made")',
    'op.add_field("item", "status", default="new")',
    'op.create_index("item", [("status", 1)], name="ix_status")',
    'op.rename_field("item", "name", "title")',
    'op.drop_field("item", "gone")',
    'op.drop_index("item", "ix_name")',
    'op.update("item", {}, {"$inc": {"n": 1}}, keep=True)',
    'op.delete("item", {"_id": 1})',
    'op.insert("item", [{"_id": 99, "name": "x"}])',
    'op.rename_collection("other", "another")',
    'op.drop_collection("dropped")',
)
BOOM = "op.run(boom, transactional=True)"
BOOM_FUNCTION = """
def boom(db, session):
    raise RuntimeError("boom")
"""
POSTGRES_UP = (
    'op.add_column("item", sa.Column("status", sa.String, server_default="n"))'
)


@pytest.fixture
def first(tree: Tree, mongo_db: Database[Any]) -> Tree:
    """One revision applied, with rows and documents in place."""
    tree.add("r1", postgres=TABLES, postgres_down=DROP_TABLES)
    init()
    upgrade()
    mongo_db.item.insert_many(DOCUMENTS)
    mongo_db.item.create_index("name", name="ix_name")
    mongo_db.other.insert_one({"_id": 1})
    mongo_db.dropped.insert_one({"_id": 1, "kept": True})
    mongo_db.dropped.create_index("kept", unique=True)
    return tree


def fails_and_changes_nothing(
    engine: sa.Engine, db: Database[Any], reason: str
) -> PartialFailure:
    """Upgrade, which must fail; both sides must be what they were."""
    before = postgres_snapshot(engine), mongo_snapshot(db), stamps(engine, db)
    with pytest.raises(PartialFailure, match=reason) as caught:
        upgrade()
    assert postgres_snapshot(engine) == before[0]
    assert mongo_snapshot(db) == before[1]
    assert stamps(engine, db) == before[2]
    return caught.value


@pytest.mark.parametrize("place", range(len(MONGO_STEPS) + 1))
def test_a_failing_mongo_operation_leaves_both_sides_as_they_were(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any], place: int
) -> None:
    steps = [*MONGO_STEPS[:place], BOOM, *MONGO_STEPS[place:]]
    first.add(
        "r2", postgres=POSTGRES_UP, mongo="\n".join(steps), mongo_more=BOOM_FUNCTION
    )
    init()
    error = fails_and_changes_nothing(engine, mongo_db, "boom")
    assert error.failed == "r2"
    assert error.applied == ()


FAILURES_OF_POSTGRES = {
    "ddl": "op.drop_table('nothing_of_that_name')",
    "after-ddl": f"{POSTGRES_UP}\nop.execute('SELECT 1 / 0')",
    "python": f"{POSTGRES_UP}\nraise RuntimeError('boom')",
    "deferred-constraint": "op.execute('UPDATE item SET owner_id = 5')",
}


@pytest.mark.parametrize(
    "body", FAILURES_OF_POSTGRES.values(), ids=FAILURES_OF_POSTGRES
)
def test_a_failing_postgres_script_undoes_the_mongo_side(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any], body: str
) -> None:
    first.add("r2", postgres=body, mongo="\n".join(MONGO_STEPS))
    init()
    fails_and_changes_nothing(
        engine, mongo_db, "^The upgrade of r2 failed: PostgreSQL script: (?!.*failed)"
    )


SAID_BY_POSTGRES = {
    "a-view-in-the-way": (
        "op.execute('CREATE VIEW v AS SELECT id FROM item'); op.drop_table('item')",
        "(view v depends on table item)",
        "PostgreSQL's hint: Use DROP ... CASCADE",
    ),
    "a-key-that-stands-twice": (
        "op.execute('INSERT INTO item VALUES (1, NULL, NULL)')",
        "(Key (id)=(1) already exists)",
        "",
    ),
    "a-deferred-key": (
        "op.execute('UPDATE item SET owner_id = 5')",
        '(Key (owner_id)=(5) is not present in table "owner")',
        "",
    ),
}


@pytest.mark.parametrize(
    ("body", "detail", "hint"), SAID_BY_POSTGRES.values(), ids=SAID_BY_POSTGRES
)
def test_what_postgresql_said_in_detail_is_told(
    first: Tree, engine: sa.Engine, body: str, detail: str, hint: str
) -> None:
    first.add("r2", postgres=body)
    init()
    with pytest.raises(PartialFailure) as caught:
        upgrade()
    assert detail in caught.value.what
    assert hint in caught.value.what


def test_a_failing_verify_of_mongo_undoes_its_operations(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    verify = (
        "def verify(db):\n    assert db.item.count_documents({}) == 7, 'no seven'\n"
    )
    first.add("r2", mongo="\n".join(MONGO_STEPS), mongo_more=verify)
    init()
    fails_and_changes_nothing(engine, mongo_db, "no seven")


def test_a_failing_verify_of_postgres_rolls_back_and_undoes_mongo(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    verify = "def verify(connection):\n    raise ValueError('not so')\n"
    first.add(
        "r2",
        postgres=POSTGRES_UP,
        mongo="\n".join(MONGO_STEPS),
        postgres_more=verify,
    )
    init()
    fails_and_changes_nothing(engine, mongo_db, "not so")


@pytest.mark.parametrize("side", ["postgres", "mongo"])
def test_a_verify_that_returns_false_is_a_failing_one(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any], side: str
) -> None:
    more = {f"{side}_more": "def verify(database):\n    return 1 > 2\n"}
    first.add("r2", postgres=POSTGRES_UP, mongo="\n".join(MONGO_STEPS), **more)
    init()
    fails_and_changes_nothing(engine, mongo_db, r"verify\(\w+\) returned False")


def test_a_mended_script_is_applied_by_the_next_upgrade(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    first.add("r2", postgres="raise RuntimeError", mongo="\n".join(MONGO_STEPS))
    init()
    with pytest.raises(PartialFailure):
        upgrade()
    path = first.path("postgres", "r2")
    path.write_text(path.read_text().replace("raise RuntimeError", POSTGRES_UP))
    upgrade()
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert mongo_db.item.count_documents({"status": "new"}) == 2


def test_revisions_before_the_failing_one_stay_and_those_after_are_not_begun(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    first.add("r2", postgres=POSTGRES_UP)
    first.add("r3", postgres="raise RuntimeError('boom')")
    first.add("r4")
    init()
    with pytest.raises(PartialFailure) as caught:
        upgrade()
    assert (caught.value.applied, caught.value.failed) == (("r2",), "r3")
    assert caught.value.untouched == ("r4",)
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_a_failing_downgrade_leaves_the_revision_applied_on_both_sides(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    first.add(
        "r2",
        postgres=POSTGRES_UP,
        postgres_down="raise RuntimeError('boom')",
        mongo='op.add_field("item", "status", default="new")',
        mongo_down='op.drop_field("item", "status")',
    )
    init()
    upgrade()
    before = postgres_snapshot(engine), mongo_snapshot(mongo_db)
    with pytest.raises(PartialFailure, match="boom"):
        downgrade()
    assert (postgres_snapshot(engine), mongo_snapshot(mongo_db)) == before
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_what_cannot_be_undone_stays_and_the_next_run_carries_on_from_it(
    first: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    first.add(
        "r2",
        mongo='op.update("item", {}, {"$inc": {"n": 1}})\n'
        'op.create_collection("made")\n' + BOOM,
        mongo_more=BOOM_FUNCTION,
    )
    init()
    with pytest.raises(PartialFailure, match="some of it remains"):
        upgrade()
    assert mongo_db.item.count_documents({"n": 1}) == 3
    assert "made" not in mongo_db.list_collection_names()
    path = first.path("mongo", "r2")
    path.write_text(path.read_text().replace('raise RuntimeError("boom")', "pass"))
    upgrade()
    assert mongo_db.item.count_documents({"n": 1}) == 3
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_status_shows_a_failed_revision_and_why(first: Tree, app: Flask) -> None:
    first.add("r2", postgres="raise RuntimeError('boom')")
    init()
    with pytest.raises(PartialFailure):
        upgrade()
    newest = status().rows[0]
    assert {side.state for side in newest.sides.values()} == {"failed"}
    assert all("boom" in str(side.error) for side in newest.sides.values())
