"""The same rows in a table and in its collection: both do the same to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from bson import Binary, Decimal128
from flask import Flask
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError
from sqlalchemy import Column, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import IntegrityError

from tests.support.generate.evolution import Evolution

Mongo = Database[dict[str, Any]]
Row = dict[str, Any]
SOME_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.fixture
def evolution(make_app: Callable[..., Flask]) -> Evolution:
    return Evolution(make_app)


# A name, what is unique, and rows: are the same ones taken and refused?
UNIQUE: dict[str, tuple[Callable[..., Any], list[Row]]] = {
    "nullable": (
        lambda: UniqueConstraint("a"),
        [{"a": "x"}, {"a": None}, {}, {"a": "x"}, {"a": "y"}],
    ),
    "two_nullable": (
        lambda: UniqueConstraint("a", "n"),
        [{"a": "x"}, {"a": "x"}, {"a": "x", "n": 1}, {"a": "x", "n": 1}, {"n": 1}],
    ),
    "nulls_not_distinct": (
        lambda: UniqueConstraint("a", postgresql_nulls_not_distinct=True),
        [{"a": None}, {}, {"a": "x"}],
    ),
    "where_is_null": (
        lambda: partial_index("deleted_at IS NULL"),
        [
            {"a": "x"},
            {"a": "x", "deleted_at": datetime(2024, 1, 1)},
            {"a": "x", "deleted_at": datetime(2024, 1, 1)},
            {"a": "x"},
        ],
    ),
    "where_is_not_null": (
        lambda: partial_index("n IS NOT NULL"),
        [{"a": "x"}, {"a": "x"}, {"a": "x", "n": 1}, {"a": "x", "n": 2}],
    ),
    "where_equal": (
        lambda: partial_index("b = 'it''s'"),
        [{"a": "x", "b": "it's"}, {"a": "x", "b": "it's"}, {"a": "x", "b": "its"}],
    ),
    "where_not_equal": (
        lambda: partial_index("b <> 'm'"),
        [
            {"a": "x", "b": "m"},
            {"a": "x", "b": "m"},
            {"a": "x", "b": "a"},
            {"a": "x", "b": "z"},
            {"a": "x"},
        ],
    ),
    "where_true": (
        lambda: partial_index("flag"),
        [{"a": "x", "flag": True}, {"a": "x", "flag": False}, {"a": "x", "flag": True}],
    ),
    "where_not_true": (
        lambda: partial_index("flag IS NOT TRUE"),
        [{"a": "x"}, {"a": "x", "flag": False}, {"a": "x", "flag": True}, {"a": "y"}],
    ),
    "where_not": (
        lambda: partial_index("NOT flag"),
        [{"a": "x"}, {"a": "x", "flag": False}, {"a": "x", "flag": False}, {"a": "x"}],
    ),
    "where_in": (
        lambda: partial_index("b IN ('m', 'n')"),
        [{"a": "x", "b": "m"}, {"a": "x", "b": "n"}, {"a": "x", "b": "o"}],
    ),
    "where_between": (
        lambda: partial_index("n BETWEEN 2 AND 4"),
        [
            {"a": "x", "n": 1},
            {"a": "x", "n": 2},
            {"a": "x", "n": 4},
            {"a": "x", "n": 5},
        ],
    ),
    "where_or": (
        lambda: partial_index("n > 3 OR b = 'm'"),
        [{"a": "x", "n": 4}, {"a": "x", "b": "m"}, {"a": "x"}, {"a": "x", "n": 1}],
    ),
    "where_date": (
        lambda: partial_index("deleted_at > '2024-01-01'"),
        [
            {"a": "x", "deleted_at": datetime(2024, 2, 1)},
            {"a": "x", "deleted_at": datetime(2024, 3, 1)},
            {"a": "x", "deleted_at": datetime(2023, 3, 1)},
        ],
    ),
    "ignoring_case": (
        lambda: Index("ix_ignoring_case", sa.text("lower(a)"), unique=True),
        [{"a": "x"}, {"a": "X"}, {"a": "y"}, {}, {"a": None}],
    ),
}


def partial_index(where: str) -> Index:
    return Index(f"ix_{uuid.uuid4().hex[:8]}", "a", unique=True, postgresql_where=where)


def unique_models() -> MetaData:
    metadata = MetaData()
    for name, (make, _) in UNIQUE.items():
        table = Table(
            name,
            metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("a", sa.String(10)),
            Column("b", sa.String(10)),
            Column("n", sa.Integer),
            Column("flag", sa.Boolean),
            Column("deleted_at", sa.DateTime),
        )
        item = make()
        if isinstance(item, Index) and item.dialect_kwargs.get("postgresql_where"):
            where = sa.text(item.dialect_kwargs["postgresql_where"])
            Index(item.name, table.c.a, unique=True, postgresql_where=where)
        elif isinstance(item, Index):
            Index(item.name, *item.expressions, unique=True, _table=table)
        else:
            table.append_constraint(item)
    return metadata


def taken_by_postgres(engine: sa.Engine, table: Table, row: Row) -> bool:
    try:
        with engine.begin() as connection:
            connection.execute(table.insert().values(**row))
    except IntegrityError:
        return False
    return True


def taken_by_mongo(db: Mongo, name: str, row: Row) -> bool:
    try:
        db[name].insert_one(dict(row))
    except DuplicateKeyError:
        return False
    return True


def test_unique_indexes_take_and_refuse_the_same_on_both_sides(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo
) -> None:
    metadata = unique_models()
    evolution.to(metadata)

    postgres, mongo = {}, {}
    for name, (_, rows) in UNIQUE.items():
        table = metadata.tables[name]
        postgres[name] = [taken_by_postgres(engine, table, row) for row in rows]
        mongo[name] = [taken_by_mongo(mongo_db, name, row) for row in rows]
    assert mongo == postgres
    assert all(False in taken for taken in postgres.values())


# A type, a server default, and the value that documents get.
DEFAULTS: dict[str, tuple[Any, Any, Any]] = {
    "integer": (sa.Integer, "0", 0),
    "big": (sa.BigInteger, "5000000000", 5000000000),
    "numeric": (sa.Numeric(8, 2), "0", Decimal128("0")),
    "float": (sa.Float, "1.5", 1.5),
    "true": (sa.Boolean, sa.true(), True),
    "letter_f": (sa.Boolean, "f", False),
    "one": (sa.Boolean, sa.text("'1'"), True),
    "text": (sa.String(10), "it's", "it's"),
    "cast": (sa.String(10), sa.text("'x'::character varying"), "x"),
    "enum": (sa.Enum("new", "old", name="age"), "new", "new"),
    "json_list": (sa.JSON, sa.text("'[]'::json"), []),
    "jsonb": (pg.JSONB, sa.text("'{\"a\": [1, null]}'::jsonb"), {"a": [1, None]}),
    "array": (pg.ARRAY(sa.String), "{}", []),
    "array_of": (pg.ARRAY(sa.Integer), sa.text("ARRAY[1, 2]"), [1, 2]),
    "date": (sa.Date, "2024-05-06", datetime(2024, 5, 6)),
    "time": (sa.Time, "12:30:00", "12:30:00"),
    "stamp": (sa.DateTime, "2024-05-06 07:08:09", datetime(2024, 5, 6, 7, 8, 9)),
    "zoned": (
        sa.DateTime(timezone=True),
        sa.text("'2024-05-06 02:00:00+02'"),
        datetime(2024, 5, 6),
    ),
    "uuid": (sa.Uuid, str(SOME_ID), Binary.from_uuid(SOME_ID)),
    "bytes": (sa.LargeBinary, sa.text("'\\x00ff'::bytea"), b"\x00\xff"),
    "null": (sa.Integer, sa.text("NULL"), None),
}


def default_models(*, with_columns: bool) -> MetaData:
    metadata = MetaData()
    table = Table("things", metadata, Column("id", sa.Integer, primary_key=True))
    if with_columns:
        for name, (type_, default, _) in DEFAULTS.items():
            table.append_column(Column(name, type_, server_default=default))
        table.append_column(
            Column("now", sa.DateTime(timezone=True), server_default=sa.func.now())
        )
        table.append_column(
            Column("today", sa.Date, server_default=sa.text("CURRENT_DATE"))
        )
    return metadata


def test_documents_get_the_default_of_an_added_column_as_bson(
    evolution: Evolution, mongo_db: Mongo
) -> None:
    evolution.to(default_models(with_columns=False))
    mongo_db["things"].insert_one({"_id": 1})
    evolution.to(default_models(with_columns=True))

    document = mongo_db["things"].find_one()
    assert document is not None
    now = document.pop("now").replace(tzinfo=UTC)
    today = document.pop("today").replace(tzinfo=UTC)
    assert document == {"_id": 1, **{key: item[2] for key, item in DEFAULTS.items()}}
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
    assert today == now.replace(hour=0, minute=0, second=0, microsecond=0)


# Old type, old value, new type, new value in PostgreSQL, new value in MongoDB.
CONVERSIONS: dict[str, tuple[Any, Any, Any, Any, Any]] = {
    "text_integer": (sa.String, "12", sa.Integer, 12, 12),
    "integer_text": (sa.Integer, 12, sa.String, "12", "12"),
    "text_numeric": (sa.Text, "1.50", sa.Numeric, Decimal("1.50"), Decimal128("1.50")),
    "integer_big": (sa.Integer, 7, sa.BigInteger, 7, 7),
    "integer_numeric": (sa.Integer, 7, sa.Numeric, Decimal(7), Decimal128("7")),
    "float_numeric": (sa.Float, 2.5, sa.Numeric, Decimal("2.5"), Decimal128("2.5")),
    "integer_float": (sa.Integer, 7, sa.Float, 7.0, 7.0),
    "text_bool": (sa.String, "No", sa.Boolean, False, False),
    "integer_bool": (sa.Integer, 1, sa.Boolean, True, True),
    "bool_integer": (sa.Boolean, True, sa.Integer, 1, 1),
    "bool_text": (sa.Boolean, True, sa.String, "true", "true"),
    "text_date": (
        sa.String,
        "2024-05-06",
        sa.Date,
        datetime(2024, 5, 6).date(),
        datetime(2024, 5, 6),
    ),
    "stamp_date": (
        sa.DateTime,
        datetime(2024, 5, 6, 7),
        sa.Date,
        datetime(2024, 5, 6).date(),
        datetime(2024, 5, 6),
    ),
    "text_enum": (sa.String, "a", sa.Enum("a", "b", name="ab"), "a", "a"),
    "enum_text": (sa.Enum("c", "d", name="cd"), "c", sa.String, "c", "c"),
    "text_array": (sa.String, "x", pg.ARRAY(sa.String), ["x"], ["x"]),
    "array_array": (
        pg.ARRAY(sa.String),
        ["1", "2"],
        pg.ARRAY(sa.Integer),
        [1, 2],
        [1, 2],
    ),
    "json_jsonb": (sa.JSON, {"a": 1}, pg.JSONB, {"a": 1}, {"a": 1}),
    "short_long": (sa.String(5), "x", sa.String(50), "x", "x"),
}


def conversion_models(position: int) -> MetaData:
    metadata = MetaData()
    columns = [Column(name, case[position]) for name, case in CONVERSIONS.items()]
    Table("things", metadata, Column("id", sa.Integer, primary_key=True), *columns)
    return metadata


def test_a_change_of_type_converts_the_same_on_both_sides(
    evolution: Evolution, engine: sa.Engine, mongo_db: Mongo
) -> None:
    metadata = conversion_models(0)
    evolution.to(metadata)
    values = {name: case[1] for name, case in CONVERSIONS.items()}
    with engine.begin() as connection:
        connection.execute(metadata.tables["things"].insert().values(id=1, **values))
        connection.execute(metadata.tables["things"].insert().values(id=2))
    mongo_db["things"].insert_many(
        [{"_id": 1, **values}, {"_id": 2, "text_bool": None}]
    )
    evolution.to(conversion_models(2))

    table = conversion_models(2).tables["things"]
    with engine.connect() as connection:
        rows = connection.execute(table.select().order_by("id")).mappings().all()
    documents = list(mongo_db["things"].find().sort("_id"))
    assert dict(rows[0]) == {"id": 1, **{k: c[3] for k, c in CONVERSIONS.items()}}
    assert documents[0] == {"_id": 1, **{k: c[4] for k, c in CONVERSIONS.items()}}
    assert documents[1] == {"_id": 2, "text_bool": None}
    assert set(rows[1].values()) == {2, None}


@pytest.mark.parametrize("action", ["error", "warn"])
def test_a_validator_refuses_what_the_table_refuses(
    make_app: Callable[..., Flask], mongo_db: Mongo, action: str
) -> None:
    evolution = Evolution(make_app, config={"DUALMIGRATE_VALIDATORS": action})
    metadata = MetaData()
    Table(
        "things",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("name", sa.String(5), nullable=False),
        Column("low", sa.Integer),
        Column("high", sa.Integer),
        Column("kind", sa.Enum("a", "b", name="kind")),
        sa.CheckConstraint("low >= 0", name="ck_low"),
        sa.CheckConstraint("low < high", name="ck_order"),
    )
    evolution.to(metadata)

    refused = []
    for document in (
        {"name": "Ann", "low": 1, "high": 2, "kind": "a"},
        {"name": "Ann"},
        {},
        {"name": "longer"},
        {"name": "Ann", "low": -1},
        {"name": "Ann", "low": 2, "high": 1},
        {"name": "Ann", "kind": "c"},
        {"name": 1},
    ):
        try:
            mongo_db["things"].insert_one(dict(document))
        except WriteError as error:
            refused.append(error.code)
    assert refused == ([121] * 6 if action == "error" else [])
