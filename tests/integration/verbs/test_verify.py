"""`verify` on real servers: the scripts' own checks, and the counts of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from flask_dualmigrate import UsageError, downgrade, init, upgrade, verify
from tests.integration.conftest import MakeApp, Tree

VERIFY = """
def verify(db):
    assert db.numbers.count_documents({"bad": 1}) == 0, "there are bad numbers"
"""
VERIFY_POSTGRES = """
def verify(connection):
    count = connection.execute(sa.text("SELECT count(*) FROM t")).scalar_one()
    assert count == 0, f"{count} rows"
"""


def outcomes(**options: Any) -> dict[tuple[str, str], str]:
    return {(c.backend, c.revision): c.outcome for c in verify(**options).checks}


@pytest.fixture
def verified(numbers: Tree) -> Tree:
    """Two revisions more, the first with verify functions on both sides."""
    numbers.add(
        "r2",
        postgres='op.create_table("t", sa.Column("a", sa.Integer))',
        postgres_more=VERIFY_POSTGRES,
        mongo_more=VERIFY,
    )
    numbers.add("r3")
    init()
    upgrade()
    return numbers


def test_verify_calls_what_each_side_has_applied(verified: Tree) -> None:
    assert outcomes() == {
        ("postgres", "r1"): "none",
        ("mongo", "r1"): "none",
        ("postgres", "r2"): "passed",
        ("mongo", "r2"): "passed",
        ("postgres", "r3"): "none",
        ("mongo", "r3"): "none",
    }
    assert outcomes(revision="r2", backend="mongo") == {("mongo", "r2"): "passed"}
    assert set(outcomes(head_only=True)) == {("postgres", "r3"), ("mongo", "r3")}


def test_verify_says_which_revision_fails_and_what_came_after_it(
    verified: Tree, mongo_db: Database[Any]
) -> None:
    mongo_db.numbers.insert_one({"bad": 1})
    result = verify(revision="r2")
    assert not result.ok
    postgres, mongo = result.checks
    assert postgres.outcome == "passed"
    assert (mongo.outcome, mongo.later) == ("failed", 1)
    assert mongo.error is not None
    assert mongo.error.endswith("there are bad numbers")


def test_a_revision_that_is_not_applied_is_not_verified(verified: Tree) -> None:
    downgrade(revision="r2")
    assert ("mongo", "r3") not in outcomes()
    with pytest.raises(UsageError, match="not applied on any side"):
        verify(revision="r3")


def test_verify_writes_nothing_to_postgres(
    numbers: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    writes = """
    def verify(connection):
        connection.execute(sa.text("INSERT INTO t VALUES (1)"))
    """
    numbers.add(
        "r2",
        postgres='op.create_table("t", sa.Column("a", sa.Integer))',
        postgres_more=writes,
    )
    init()
    upgrade()
    result = verify(revision="r2", backend="postgres")
    assert "read-only transaction" in str(result.checks[0].error)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 1


@pytest.fixture
def mirrored(make_app: MakeApp, tmp_path: Path) -> Flask:
    """An app whose items are in both databases, and whose notes are in one."""
    db = SQLAlchemy()
    for name in ("items", "notes"):
        sa.Table(name, db.metadata, sa.Column("id", sa.Integer, primary_key=True))
    return make_app(db=db, collections={"items": "item", "notes": None})


def test_verify_compares_the_counts_of_tables_and_their_collections(
    mirrored: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    with mirrored.app_context():
        init()
        mirrored.extensions["sqlalchemy"].create_all()
        mongo_db.item.insert_many([{"_id": i} for i in range(3)])
        (counted,) = verify().counts
        assert (counted.table, counted.collection) == ("items", "item")
        assert (counted.rows, counted.documents, counted.ok) == (0, 3, False)
        with engine.begin() as connection:
            rows = "INSERT INTO items SELECT * FROM generate_series(1, 5)"
            connection.exec_driver_sql(rows)
        (bounded,) = verify(count_limit=3).counts
        assert (bounded.rows, bounded.documents, bounded.exact) == (3, 3, False)
        assert verify(counts=False).counts == ()
        mongo_db.item.insert_many([{"_id": i} for i in (3, 4)])
        assert verify().ok


def test_verify_counts_views_that_stand_for_a_table_and_its_collection(
    mirrored: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    with mirrored.app_context():
        init()
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE VIEW items AS SELECT * FROM generate_series(1, 2) AS id"
            )
        mongo_db.base.insert_many([{"_id": i} for i in range(3)])
        mongo_db.create_collection("item", viewOn="base", pipeline=[])
        (counted,) = verify().counts
        assert (counted.rows, counted.documents) == (2, 3)
