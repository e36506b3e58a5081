"""The indexes and unique constraints of a table as MongoDB's."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import ops
from bson import Decimal128
from sqlalchemy import Column, Index, UniqueConstraint
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.schema import CreateTable

from flask_dualmigrate.generate.mongo.indexes import Covered, Spec, Unknown, project
from flask_dualmigrate.generate.tables.state import table_state

from .translation import body, context, dialect, table


def columns() -> list[Column[Any]]:
    return [
        Column("a", sa.String(20)),
        Column("b", sa.String(20), nullable=False),
        Column("n", sa.Integer),
        Column("price", sa.Numeric),
        Column("flag", sa.Boolean),
        Column("at", sa.DateTime),
        Column("tags", pg.ARRAY(sa.String)),
        Column("more_tags", pg.ARRAY(sa.String)),
        Column("data", pg.JSONB),
        Column("search", pg.TSVECTOR),
        Column("key", sa.LargeBinary),
        Column("status", sa.Enum("new", "used", name="status")),
        Column("CamelCase", sa.Integer),
    ]


def projected(*parts: Any, **settings: Any) -> Any:
    """Return what the index `ix` of a table becomes."""
    made = table("t", *columns(), *parts)
    return project(table_state(made, dialect()), context(**settings))["ix"]


@pytest.mark.parametrize(
    ("parts", "keys"),
    [
        (["a"], [("a", 1)]),
        (["a", "n"], [("a", 1), ("n", 1)]),
        (["id", "a"], [("_id", 1), ("a", 1)]),
        ([sa.text("at DESC"), "n"], [("at", -1), ("n", 1)]),
        ([sa.text("at DESC NULLS LAST")], [("at", -1)]),
        ([sa.desc("at")], [("at", -1)]),
        (["CamelCase"], [("CamelCase", 1)]),
        ([sa.text('"CamelCase" DESC')], [("CamelCase", -1)]),
        ([sa.text("lower(a)")], [("a", 1)]),
        ([sa.text("upper((a)::text) DESC")], [("a", -1)]),
        ([sa.text("(data ->> 'name')")], [("data.name", 1)]),
        ([sa.text("(data -> 'a') ->> 'b'")], [("data.a.b", 1)]),
    ],
    ids=lambda parts: ", ".join(map(str, parts)),
)
def test_the_keys_of_an_index_are_fields(parts: list[Any], keys: Any) -> None:
    spec = projected(Index("ix", *parts))

    assert isinstance(spec, Spec)
    assert list(spec.keys) == keys


@pytest.mark.parametrize(
    ("column", "method", "keys"),
    [
        ("tags", "gin", [("tags", 1)]),
        ("data", "gin", [("data.$**", 1)]),
        ("a", "hash", [("a", 1)]),
        ("at", "brin", [("at", 1)]),
    ],
)
def test_the_kinds_of_postgres_have_a_counterpart(
    column: str, method: str, keys: Any
) -> None:
    spec = projected(Index("ix", column, postgresql_using=method))

    assert isinstance(spec, Spec)
    assert list(spec.keys) == keys


@pytest.mark.parametrize(
    "index",
    [
        Index("ix", "a", postgresql_using="gist"),
        Index("ix", "a", postgresql_using="spgist"),
        Index("ix", "search", postgresql_using="gin"),
        Index("ix", "a", postgresql_using="gin", postgresql_ops={"a": "gin_trgm_ops"}),
        Index("ix", "tags", "data", postgresql_using="gin"),
        Index("ix", sa.text("date_trunc('day', at)")),
        Index("ix", sa.text("coalesce(a, '')"), unique=True),
        Index("ix", sa.text("data ->> 'x'"), unique=True),
        Index("ix", sa.text("lower(a)"), "b", unique=True),
        Index("ix", "tags", unique=True),
        Index("ix", "tags", "more_tags"),
        Index("ix", "a", postgresql_where=sa.text("length(a) > 3")),
        Index("ix", "a", postgresql_where=sa.text("a LIKE 'x%'")),
        Index("ix", "a", postgresql_where=sa.text("a = b")),
        Index("ix", "a", postgresql_where=sa.text("at > now()")),
        Index("ix", "a", postgresql_where=sa.text("data = '{}'")),
        Index("ix", "a", postgresql_where=sa.text("n NOT IN (1, 2)")),
    ],
    ids=range(17),
)
def test_what_mongo_has_no_index_for_is_left_to_a_person(index: Index) -> None:
    assert isinstance(projected(index), Unknown)


@pytest.mark.parametrize(
    ("where", "condition"),
    [
        ("n IS NOT NULL", {"n": {"$type": "number"}}),
        ("at IS NULL", {"at": None}),
        ("n = 3", {"n": 3}),
        ("n = -3", {"n": -3}),
        ("3 < n", {"n": {"$gt": 3}}),
        ("n >= 3 AND n < 9", {"n": {"$gte": 3, "$lt": 9}}),
        ("n BETWEEN 3 AND 9", {"n": {"$gte": 3, "$lte": 9}}),
        ("price > 1.5", {"price": {"$gt": Decimal128("1.5")}}),
        ("flag", {"flag": True}),
        ("NOT flag", {"flag": False}),
        ("flag IS TRUE", {"flag": True}),
        ("flag IS FALSE", {"flag": False}),
        ("flag = true", {"flag": True}),
        ("flag <> true", {"flag": False}),
        ("flag IS NOT TRUE", {"flag": {"$in": [False, None]}}),
        ("a = 'it''s'", {"a": "it's"}),
        ("((a)::text = 'x'::text)", {"a": "x"}),
        ("status = 'new'::status", {"status": "new"}),
        ("n IN (1, 2)", {"n": {"$in": [1, 2]}}),
        (
            "((a)::text = ANY ((ARRAY['x'::character varying, 'y'])::text[]))",
            {"a": {"$in": ["x", "y"]}},
        ),
        ("n <> 3", {"$or": [{"n": {"$lt": 3}}, {"n": {"$gt": 3}}]}),
        ("n = 1 OR a = 'x'", {"$or": [{"n": 1}, {"a": "x"}]}),
        (
            "NOT (n = 1 OR flag)",
            {"$or": [{"n": {"$lt": 1}}, {"n": {"$gt": 1}}], "flag": False},
        ),
        ("n = 1 AND n = 2", {"$and": [{"n": 1}, {"n": 2}]}),
        ('"CamelCase" > 0', {"CamelCase": {"$gt": 0}}),
        ("id > 5", {"_id": {"$gt": 5}}),
    ],
)
def test_a_condition_is_a_partial_filter_expression(where: str, condition: Any) -> None:
    spec = projected(Index("ix", "b", postgresql_where=sa.text(where)))

    assert isinstance(spec, Spec)
    assert spec.options == {"partialFilterExpression": condition}


@pytest.mark.parametrize(
    ("unique", "options"),
    [
        (UniqueConstraint("b", name="ix"), {"unique": True}),
        (
            UniqueConstraint("a", name="ix"),
            {"unique": True, "partialFilterExpression": {"a": {"$type": "string"}}},
        ),
        (
            UniqueConstraint("n", "b", "at", name="ix"),
            {
                "unique": True,
                "partialFilterExpression": {
                    "n": {"$type": "number"},
                    "at": {"$type": "date"},
                },
            },
        ),
        (
            UniqueConstraint("key", name="ix"),
            {"unique": True, "partialFilterExpression": {"key": {"$type": "binData"}}},
        ),
        (
            UniqueConstraint("a", name="ix", postgresql_nulls_not_distinct=True),
            {"unique": True},
        ),
        (
            Index("ix", "a", unique=True, postgresql_where=sa.text("a > 'm'")),
            {"unique": True, "partialFilterExpression": {"a": {"$gt": "m"}}},
        ),
        (
            Index("ix", "a", unique=True, postgresql_where=sa.text("flag")),
            {
                "unique": True,
                "partialFilterExpression": {"flag": True, "a": {"$type": "string"}},
            },
        ),
        (
            Index("ix", sa.text("lower(a)"), unique=True),
            {
                "unique": True,
                "collation": {"locale": "en", "strength": 2},
                "partialFilterExpression": {"a": {"$type": "string"}},
            },
        ),
    ],
    ids=range(8),
)
def test_a_unique_index_leaves_nulls_out(unique: Any, options: Any) -> None:
    spec = projected(unique)

    assert isinstance(spec, Spec)
    assert spec.options == options


def test_an_index_on_the_id_alone_is_there_already() -> None:
    assert isinstance(projected(Index("ix", "id")), Covered)


@pytest.mark.parametrize(
    "index",
    [
        Index("ix", "a", postgresql_include=["b"]),
        Index("ix", "a", postgresql_with={"fillfactor": 50}),
        Index("ix", "a", postgresql_ops={"a": "text_pattern_ops"}),
    ],
    ids=["include", "with", "ops"],
)
def test_options_that_mongo_has_not_are_a_comment(index: Index) -> None:
    spec = projected(index)

    assert isinstance(spec, Spec)
    assert len(spec.notes) == 1


def test_of_twins_the_first_name_is_kept() -> None:
    made = table("t", *columns(), Index("ix_b", "a"), Index("ix_a", "a"))

    found = project(table_state(made, dialect()), context())

    assert isinstance(found["ix_a"], Spec)
    assert isinstance(found["ix_b"], Covered)


def test_the_same_key_with_other_options_is_no_twin() -> None:
    made = table("t", *columns(), Index("ix_b", "b", unique=True), Index("ix_a", "b"))

    found = project(table_state(made, dialect()), context())

    assert {type(item) for item in found.values()} == {Spec, Covered}  # t_pkey
    assert isinstance(found["ix_b"], Spec)


def test_a_twin_takes_over_when_the_kept_one_is_dropped() -> None:
    made = table("t", *columns(), Index("ix_b", "a"), Index("ix_a", "a"))

    assert body(ops.DropIndexOp("ix_a", "t"), before=[made]) == (
        'op.drop_index("t", "ix_a")\nop.create_index("t", [("a", 1)], name="ix_b")'
    )


def test_a_twin_that_sorts_later_is_a_comment() -> None:
    made = table("t", *columns(), Index("ix_a", "a"))

    assert body(ops.CreateIndexOp("ix_b", "t", ["a"]), before=[made]) == (
        "# Index ix_b is ix_a under another name: MongoDB keeps only one.\npass"
    )


def test_an_index_of_a_new_table_that_turns_out_a_twin_is_not_built_twice() -> None:
    made = table("t", Column("a", sa.Text), UniqueConstraint("a", name="uq"))

    text = body(
        ops.CreateTableOp.from_table(made),
        ops.CreateIndexOp("ix", "t", ["a"], unique=True),
    )

    assert text.count("op.create_index(") == 1
    assert "op.drop_index" not in text


def test_dropping_what_a_person_wrote_asks_the_person() -> None:
    made = table("t", *columns(), Index("ix", "a", postgresql_using="gist"))

    text = body(ops.DropIndexOp("ix", "t"), before=[made])

    assert text.startswith("op.todo(")
    assert "equivalent from t." in text


def test_an_index_is_on_the_fields_that_the_app_names() -> None:
    spec = projected(Index("ix", "a"), fields={"t.a": "alpha"})

    assert list(spec.keys) == [("alpha", 1)]


def test_a_long_name_of_a_convention_is_cut_as_sqlalchemy_does() -> None:
    metadata = sa.MetaData(
        naming_convention={"uq": "uq_%(table_name)s_%(column_0_N_name)s"}
    )
    long = "a_column_with_a_rather_long_name"
    made = sa.Table(
        "a_table_with_a_rather_long_name",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column(long, sa.Text, unique=True),
    )

    names = set(table_state(made, dialect()).indexes)
    ddl = str(CreateTable(made).compile(dialect=dialect()))

    assert len(names) == 2
    assert all(name in ddl for name in names if name.startswith("uq_"))
