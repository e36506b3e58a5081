"""What lint takes for true of the servers, tried on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init, lint, upgrade
from flask_dualmigrate.alembic_scripts.column_types import rewrites
from tests.integration.conftest import MakeApp, Tree

Db = Database[Any]

TYPES = (
    *(
        "varchar(20)",
        "varchar(50)",
        "varchar",
        "text",
        "char(5)",
        "smallint",
        "integer",
    ),
    *("bigint", "numeric(10,2)", "numeric(12,2)", "numeric(12,4)", "numeric", "real"),
    *("double precision", "date", "timestamp(3)", "timestamp", "timestamptz", "jsonb"),
    *("json", "varbit(4)", "varbit(8)", "cidr", "inet", "boolean", "interval(3)"),
    *("interval", "time(2)", "time", "varchar(20)[]", "text[]"),
    *('varchar(20) COLLATE "C"', 'text COLLATE "C"'),
)


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        yield connection


FILE = sa.text("SELECT pg_relation_filenode('a_table')")


def tried(connection: sa.Connection, types: Sequence[str]) -> dict[Any, bool]:
    """Return (old type, new type) -> whether the table got another file.

    Those between which PostgreSQL has no cast are not there.
    """
    found: dict[Any, bool] = {}
    for old in types:
        connection.exec_driver_sql(f"CREATE TEMP TABLE a_table (c {old})")
        before = connection.execute(FILE).scalar_one()
        for new in types:
            change = f"ALTER TABLE a_table ALTER c TYPE {new}"
            savepoint = connection.begin_nested()
            with suppress(sa.exc.ProgrammingError):
                connection.exec_driver_sql(change)
                found[old, new] = connection.execute(FILE).scalar_one() != before
            savepoint.rollback()
        connection.exec_driver_sql("DROP TABLE a_table")
    return found


@pytest.mark.parametrize(
    ("zone", "types", "least"),
    [
        ("UTC", TYPES, 200),
        ("Asia/Tokyo", [name for name in TYPES if "time" in name], 15),
    ],
)
def test_which_type_changes_write_the_table_anew(
    zone: str, types: Sequence[str], least: int, connection: sa.Connection
) -> None:
    connection.exec_driver_sql(f"SET LOCAL TIME ZONE '{zone}'")
    found = tried(connection, types)

    assert len(found) > least
    assert found == {pair: rewrites(*pair, utc=zone == "UTC") for pair in found}


@pytest.mark.parametrize(
    ("column", "anew"),
    [
        ("integer DEFAULT 1 NOT NULL", False),
        ("timestamptz DEFAULT now()", False),
        ("uuid DEFAULT gen_random_uuid()", True),
        ("float DEFAULT random()", True),
        ("timestamptz DEFAULT clock_timestamp()", True),
        ("bigserial", True),
        ("bigint GENERATED ALWAYS AS IDENTITY", True),
        ("bigint GENERATED ALWAYS AS (n + 1) STORED", True),
    ],
)
def test_which_new_columns_write_the_table_anew(
    column: str, anew: bool, connection: sa.Connection
) -> None:
    connection.exec_driver_sql("CREATE TABLE a_table (n int)")
    connection.exec_driver_sql("INSERT INTO a_table VALUES (1)")
    before = connection.execute(FILE).scalar_one()

    connection.exec_driver_sql(f"ALTER TABLE a_table ADD c {column}")

    assert (connection.execute(FILE).scalar_one() != before) is anew


@pytest.mark.parametrize(
    ("statement", "mode"),
    [
        ("CREATE INDEX ix ON a_table (n)", "ShareLock"),
        ("ALTER TABLE a_table ADD CHECK (n > 0)", "AccessExclusiveLock"),
        ("ALTER TABLE a_table ADD UNIQUE (n)", "AccessExclusiveLock"),
        ("ALTER TABLE a_table ALTER n SET NOT NULL", "AccessExclusiveLock"),
        (
            "ALTER TABLE a_table ADD FOREIGN KEY (n) REFERENCES other (id)",
            "ShareRowExclusiveLock",
        ),
        (
            "ALTER TABLE a_table VALIDATE CONSTRAINT ck",
            "ShareUpdateExclusiveLock",
        ),
        ("ALTER TABLE a_table RENAME n TO m", "AccessExclusiveLock"),
    ],
)
def test_which_lock_a_statement_takes(
    statement: str, mode: str, connection: sa.Connection
) -> None:
    connection.exec_driver_sql("CREATE TABLE other (id int PRIMARY KEY)")
    connection.exec_driver_sql("CREATE TABLE a_table (n int)")
    connection.exec_driver_sql(
        "ALTER TABLE a_table ADD CONSTRAINT ck CHECK (n < 9) NOT VALID"
    )
    connection.commit()
    try:
        connection.exec_driver_sql(statement)
        held = connection.exec_driver_sql(
            "SELECT mode FROM pg_locks WHERE relation = 'a_table'::regclass "
            "AND pid = pg_backend_pid()"
        )
        assert mode in set(held.scalars())
    finally:
        connection.rollback()
        connection.exec_driver_sql("DROP TABLE a_table, other")
        connection.commit()


def codes(result: Any) -> list[str]:
    return [finding.code for finding in result.findings]


PENDING = (
    'op.create_index("item", [("n", 1)], name="ix", unique=True)\n'
    'op.rename_field("item", "n", "m")\n'
    'op.set_validator("item", {"m": {"$type": "int"}})'
)


@pytest.fixture
def pending(tree: Tree, app: Flask) -> Tree:
    """A revision that is applied, and one above it that is not."""
    tree.add("r1", mongo='op.create_collection("item")')
    init()
    upgrade()
    tree.add("r2", mongo=PENDING)
    init()
    return tree


def dangers(result: Any) -> dict[str, str]:
    return {finding.code: finding.danger for finding in result.findings}


def test_documents_are_counted_where_mongodb_is_there(
    pending: Tree, mongo_db: Db
) -> None:
    mongo_db.item.insert_many([{"n": 1, "m": "x"}, {"n": 1}, {"n": 2, "m": 3}])

    found = dangers(lint(revisions="r2"))

    assert found["DM201"].startswith("2 documents of item share a key")
    assert found["DM208"].startswith("2 documents have both item.n and item.m")
    assert found["DM209"].startswith("2 documents of item do not fit")


def test_documents_that_are_in_order_are_no_finding(
    pending: Tree, mongo_db: Db
) -> None:
    mongo_db.item.insert_many([{"n": 1}, {"n": 2}])
    mongo_db.item.insert_one({"n": 3, "m": 3})
    mongo_db.item.update_many({}, {"$set": {"m": 1}})

    found = dangers(lint(revisions="r2"))

    assert "DM201" not in found
    assert "DM209" not in found
    assert "DM204" not in found


def test_an_empty_collection_tells_nothing_of_another_one(
    pending: Tree, mongo_db: Db
) -> None:
    assert "may share" in dangers(lint(revisions="r2"))["DM201"]


def test_of_what_is_applied_nothing_is_counted(
    pending: Tree, app: Flask, mongo_db: Db
) -> None:
    upgrade()
    mongo_db.command("collMod", "item", validator={})
    mongo_db.item.drop_index("ix")
    mongo_db.item.insert_many([{"n": 1}, {"n": 1}])

    assert "may share" in dangers(lint(revisions="r2"))["DM201"]


def test_without_a_database_the_same_is_said_without_counts(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(
        urls={
            "postgres": "postgresql+psycopg://127.0.0.1:9/none",
            "mongo": "mongodb://127.0.0.1:9/none",
        },
    )
    with app.app_context():
        tree = Tree(tmp_path / "migrations")
        init()
        tree.add("r1", mongo=PENDING)
        init()

        assert {"DM201", "DM209"} <= set(codes(lint()))
