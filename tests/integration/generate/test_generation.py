"""Twelve tables, created and then changed in each way, on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from bson import Binary, Decimal128
from flask import Flask
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from sqlalchemy.engine.interfaces import ReflectedIndex

from flask_dualmigrate import check, revision
from tests.support.generate.evolution import Evolution, ruff_complaints
from tests.support.generate.twelve_tables import (
    COLLECTIONS,
    FIELDS,
    first_state,
    second_state,
)
from tests.support.snapshots import mongo_snapshot, postgres_snapshot

Mongo = Database[dict[str, Any]]
OURS = ("dualmigrate_", "alembic_version")


@pytest.fixture
def evolution(make_app: Callable[..., Flask]) -> Evolution:
    return Evolution(make_app, collections=COLLECTIONS, fields=FIELDS)


def tables(engine: sa.Engine) -> list[tuple[str | None, str]]:
    """Return (schema, name) of each of the app's tables."""
    inspector = sa.inspect(engine)
    return [
        (None if schema == "public" else schema, name)
        for schema in ("public", "store")
        for name in inspector.get_table_names(schema=schema)
        if not name.startswith(OURS)
    ]


def collection_of(schema: str | None, name: str) -> str | None:
    full_name = f"{schema}.{name}" if schema else name
    return COLLECTIONS.get(full_name, full_name)


def keys_of(table: str, index: ReflectedIndex, primary_key: list[str]) -> list[Any]:
    """Return an index's keys as MongoDB should have them, from PostgreSQL's catalog."""
    sorting = index.get("column_sorting", {})
    keys = []
    for column in index["column_names"]:
        assert column is not None
        name = FIELDS.get(f"{table}.{column}", column)
        name = "_id" if (column, primary_key) == ("id", ["id"]) else name
        keys.append((name, -1 if "desc" in sorting.get(column, ()) else 1))
    return keys


def plain_indexes(engine: sa.Engine) -> dict[tuple[str, str], tuple[Any, bool]]:
    """Return (collection, name) -> (keys, unique) of each btree index on columns."""
    inspector = sa.inspect(engine)
    found = {}
    for schema, table in tables(engine):
        collection = collection_of(schema, table)
        primary_key = inspector.get_pk_constraint(table, schema)["constrained_columns"]
        for index in inspector.get_indexes(table, schema):
            method = index.get("dialect_options", {}).get("postgresql_using", "btree")
            if (
                collection
                and method in ("btree", "hash")
                and "expressions" not in index
            ):
                keys = keys_of(table, index, primary_key)
                found[collection, str(index["name"])] = (keys, bool(index["unique"]))
    return found


def mongo_indexes(db: Mongo) -> dict[tuple[str, str], tuple[Any, bool]]:
    return {
        (collection, name): (index["key"], index.get("unique", False))
        for collection in db.list_collection_names()
        if not collection.startswith("_")
        for name, index in db[collection].index_information().items()
        if name != "_id_"
    }


# PostgreSQL has these indexes twice, under two names; MongoDB takes one of them.
TWINS = {("users", "users_email_key"), ("users", "users_nick_key")}


def test_every_table_has_its_collection(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo
) -> None:
    evolution.to(first_state())

    wanted = {collection_of(*table) for table in tables(engine)} - {None}
    there = {name for name in mongo_db.list_collection_names() if name[0] != "_"}
    assert len(tables(engine)) == 12
    assert there == wanted


@pytest.mark.parametrize("changed", [False, True], ids=["created", "changed"])
def test_every_index_and_unique_constraint_has_its_counterpart(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo, changed: bool
) -> None:
    evolution.to(first_state())
    if changed:
        evolution.to(second_state())

    wanted, there = plain_indexes(engine), mongo_indexes(mongo_db)
    missing = {key: value for key, value in wanted.items() if there.get(key) != value}
    assert set(missing) <= TWINS


def test_indexes_that_are_not_on_columns_have_their_counterpart(
    evolution: Evolution, mongo_db: Mongo
) -> None:
    evolution.to(first_state())

    there = mongo_indexes(mongo_db)
    assert there["users", "ix_users_lower_name"] == ([("name", 1)], False)
    assert there["logs", "ix_logs_newest"] == ([("created_at", -1), ("_id", 1)], False)
    assert there["logs", "ix_logs_detail"] == ([("detail.$**", 1)], False)
    assert there["item", "ix_items_tags"] == ([("tags", 1)], False)
    assert there["codes", "codes_pkey"] == ([("code", 1)], True)
    assert there["favorites", "favorites_pkey"] == (
        [("user_id", 1), ("item_id", 1)],
        True,
    )


def test_mongo_has_no_index_that_postgres_has_not(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo
) -> None:
    evolution.to(first_state())
    evolution.to(second_state())

    inspector = sa.inspect(engine)
    names = {
        str(name)
        for schema, table in tables(engine)
        for name in [
            inspector.get_pk_constraint(table, schema)["name"],
            *(index["name"] for index in inspector.get_indexes(table, schema)),
        ]
    }
    assert {name for _, name in mongo_indexes(mongo_db)} <= names


@pytest.mark.parametrize("changed", [False, True], ids=["created", "changed"])
def test_a_second_autogenerate_finds_nothing(
    evolution: Evolution, changed: bool
) -> None:
    state = second_state if changed else first_state
    if changed:
        evolution.to(first_state())
    evolution.to(state())

    assert evolution.generate(state()).revision is None
    with evolution.app(state()):
        assert check().findings == ()
        without_postgres = check(backend="mongo")
        assert without_postgres.findings == ()
        assert "PostgreSQL was not used" in without_postgres.not_compared[0]


def insert_first_rows(engine: sa.Engine, db: Mongo) -> uuid.UUID:
    """Put the same people and things into both databases."""
    item_id = uuid.uuid4()
    statements = (
        "INSERT INTO users (id, name, email) VALUES (1, 'Ann', 'a@x')",
        "INSERT INTO codes (code) VALUES ('c')",
        "INSERT INTO logs (id) VALUES (1)",
        "INSERT INTO items (id, name, status, price, quantity, bought_on) VALUES "
        f"('{item_id}', 'Lamp', 'used', 2.5, '12', '2024-05-06 07:08')",
    )
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    db["users"].insert_one({"_id": 1, "name": "Ann", "email": "a@x"})
    db["codes"].insert_one({"code": "c", "label": None})
    db["logs"].insert_one({"_id": 1})
    db["item"].insert_one(
        {
            "_id": Binary.from_uuid(item_id),
            "name": "Lamp",
            "status": "used",
            "price": 2.5,
            "quantity": "12",
            "bought_on": datetime(2024, 5, 6, 7, 8),
            "gone": "soon",
        }
    )
    return item_id


def test_documents_get_what_rows_get(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo
) -> None:
    evolution.to(first_state())
    insert_first_rows(engine, mongo_db)
    evolution.to(second_state())

    item = mongo_db["item"].find_one()
    user = mongo_db["users"].find_one()
    code = mongo_db["codes"].find_one()
    log = mongo_db["logs"].find_one()
    assert item is not None
    assert user is not None
    assert code is not None
    assert log is not None
    assert (item["price"], item["quantity"]) == (Decimal128("2.5"), 12)
    assert (item["data"], item["kind"]) == ([], "a")
    assert item["bought_on"] == datetime(2024, 5, 6)
    assert "gone" not in item
    assert (user["nick"], user["points"]) == ("nobody", Decimal128("1.50"))
    assert code["label"] == "none yet"
    assert log["level"] == 20


@pytest.mark.parametrize("validators", ["off", "error"])
def test_up_down_up_gives_the_same(
    make_app: Callable[..., Flask],
    engine: sa.Engine,
    mongo_db: Mongo,
    validators: str,
) -> None:
    config = {"DUALMIGRATE_VALIDATORS": validators}
    evolution = Evolution(
        make_app, collections=COLLECTIONS, fields=FIELDS, config=config
    )
    evolution.to(first_state())
    first = mongo_snapshot(mongo_db), postgres_snapshot(engine)
    evolution.to(second_state())
    second = mongo_snapshot(mongo_db), postgres_snapshot(engine)

    evolution.down(second_state())
    assert mongo_snapshot(mongo_db) == first[0]
    assert postgres_snapshot(engine) == first[1]
    evolution.up(second_state())
    assert mongo_snapshot(mongo_db) == second[0]
    assert postgres_snapshot(engine) == second[1]


def documents(db: Mongo) -> dict[str, list[Any]]:
    """Return the documents of each collection, whatever the order of their fields."""
    names = (name for name in db.list_collection_names() if name[0] != "_")
    return {name: list(db[name].find().sort("_id")) for name in names}


@pytest.mark.parametrize("validators", ["off", "error"])
def test_rows_and_documents_are_the_same_after_down_and_up(
    make_app: Callable[..., Flask],
    engine: sa.Engine,
    mongo_db: Mongo,
    validators: str,
) -> None:
    config = {"DUALMIGRATE_VALIDATORS": validators}
    evolution = Evolution(
        make_app, collections=COLLECTIONS, fields=FIELDS, config=config
    )
    evolution.to(first_state())
    insert_first_rows(engine, mongo_db)
    evolution.to(second_state())
    second = documents(mongo_db), postgres_snapshot(engine)

    evolution.down(second_state())
    evolution.up(second_state())
    assert documents(mongo_db) == second[0]
    assert postgres_snapshot(engine) == second[1]


def test_down_to_nothing_leaves_nothing(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo
) -> None:
    evolution.to(first_state())
    evolution.to(second_state())
    evolution.down(second_state(), "base")

    assert tables(engine) == []
    assert sa.inspect(engine).get_enums() == []  # type: ignore[attr-defined]
    assert mongo_snapshot(mongo_db) == {}


def test_a_nullable_unique_column_takes_many_nulls_and_no_double(
    evolution: Evolution, mongo_db: Mongo
) -> None:
    evolution.to(first_state())

    users = mongo_db["users"]
    users.insert_many([{"name": "a"}, {"name": "b"}, {"name": "c", "email": None}])
    users.insert_one({"name": "d", "email": "d@x"})
    with pytest.raises(DuplicateKeyError):
        users.insert_one({"name": "e", "email": "d@x"})


def test_a_missing_partner_is_made_from_the_alembic_script(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo
) -> None:
    files = evolution.generate(first_state()).files
    (lost,) = (Path(path) for path in files if "mongo" in Path(path).parts[-3:])
    lost.unlink()
    with evolution.app(first_state()):
        (written,) = (
            path for path in revision(pair="s1").files if path.endswith(".py")
        )
    evolution.up(first_state())

    assert Path(written) == lost
    assert ruff_complaints(lost) == ""
    wanted, there = plain_indexes(engine), mongo_indexes(mongo_db)
    missing = {key: value for key, value in wanted.items() if there.get(key) != value}
    assert set(missing) <= TWINS
