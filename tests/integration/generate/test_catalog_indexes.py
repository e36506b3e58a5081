"""Indexes and unique constraints, by what PostgreSQL makes of what is declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import Column, Index, MetaData, Table, UniqueConstraint, text
from sqlalchemy.dialects import postgresql

from tests.support.generate.evolution import Evolution
from tests.support.generate.generated import differing

Make = Callable[[Table], Any]


def models(make: Make | None) -> MetaData:
    metadata = MetaData()
    table = Table(
        "streets",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("name", sa.String(40)),
        Column("city", sa.Text),
        Column("stock", sa.Integer),
        Column("data", postgresql.JSONB),
        Column("at", sa.DateTime(timezone=True)),
    )
    if make is not None:
        item = make(table)
        if isinstance(item, UniqueConstraint):
            table.append_constraint(item)
    return metadata


def index(*keys: Any, **options: Any) -> Make:
    """An index; a key in a lambda is an expression of the table."""

    def make(table: Table) -> Index:
        parts = [
            key(table.c) if callable(key) else table.c.get(key, key) for key in keys
        ]
        options_ = {
            name: value(table.c) if callable(value) else value
            for name, value in options.items()
        }
        return Index("ix_it", *parts, **options_)

    return make


def unique(*columns: str, **options: Any) -> Make:
    return lambda table: UniqueConstraint(*columns, name="uq_it", **options)


WAYS: dict[str, tuple[Make, Make]] = {
    "where": (
        index("name", postgresql_where=text("stock < 3")),
        index("name", postgresql_where=text("stock < 5")),
    ),
    "where as an expression": (
        index("name", postgresql_where=lambda c: c.city.in_(["a", "b%"])),
        index("name", postgresql_where=lambda c: c.city.in_(["a", "c%"])),
    ),
    "no where any more": (
        index("name", postgresql_where=text("data ->> 'a' = 'x:y'")),
        index("name"),
    ),
    "include": (index("name"), index("name", postgresql_include=["stock"])),
    "operator class": (
        index("name"),
        index("name", postgresql_ops={"name": "varchar_pattern_ops"}),
    ),
    "operator class of a gin": (
        index("data", postgresql_using="gin"),
        index(
            "data", postgresql_using="gin", postgresql_ops={"data": "jsonb_path_ops"}
        ),
    ),
    "nulls not distinct": (
        index("name", unique=True),
        index("name", unique=True, postgresql_nulls_not_distinct=True),
    ),
    "collation": (
        index(lambda c: sa.collate(c.name, "C")),
        index(lambda c: sa.collate(c.name, "POSIX"), "stock"),
    ),
    "order of nulls": (
        index(lambda c: c.name.desc()),
        index(lambda c: c.name.desc().nulls_last()),
    ),
    "expression": (
        index(lambda c: c.city + ", " + c.name),
        index(lambda c: c.city + "; " + c.name),
    ),
    "cast": (
        index(lambda c: sa.cast(c.name, sa.Text)),
        index(lambda c: sa.func.lower(sa.cast(c.name, sa.String(10)))),
    ),
    "method": (
        index("stock"),
        index("stock", postgresql_using="brin", postgresql_with={"pages_per_range": 8}),
    ),
    "deferrability": (unique("name"), unique("name", deferrable=True)),
    "deferred": (
        unique("name", deferrable=True, initially="DEFERRED"),
        unique("name", deferrable=True, initially="IMMEDIATE"),
    ),
    "include of a constraint": (
        unique("name"),
        unique("name", postgresql_include=["stock"]),
    ),
    "nulls of a constraint": (
        unique("name", postgresql_nulls_not_distinct=True),
        unique("name"),
    ),
}


def definitions(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT pg_get_indexdef(indexrelid) || coalesce(pg_get_constraintdef(c.oid)"
            ", '') FROM pg_index LEFT JOIN pg_constraint c ON conindid = indexrelid "
            "WHERE indrelid = 'streets'::regclass ORDER BY 1"
        )
        return list(found.scalars())


@pytest.mark.parametrize("way", WAYS)
def test_a_change_of_an_index_is_found_made_and_taken_back_exactly(
    make_app: Callable[..., Flask], engine: sa.Engine, way: str
) -> None:
    old, new = map(models, WAYS[way])
    evolution = Evolution(make_app, collections={"streets": None})
    evolution.to(models(None))
    evolution.to(old)
    assert differing(engine, old) == ()
    before = definitions(engine)

    assert len(differing(engine, new)) == 2  # it is dropped, and made
    evolution.to(new)
    assert differing(engine, new) == ()
    assert definitions(engine) != before
    evolution.down(new)
    assert definitions(engine) == before

    evolution.up(new)
    evolution.to(models(None))
    evolution.down(models(None), "-2")
    assert definitions(engine) == before


def test_what_postgresql_words_in_another_way_once_read_again_is_the_same(
    make_app: Callable[..., Flask], engine: sa.Engine
) -> None:
    """IN on a VARCHAR: its own definition, run again, is not word for word the same."""
    metadata = models(index("stock", postgresql_where=lambda c: c.name.in_(["a", "b"])))
    metadata.create_all(engine)
    (definition,) = (text for text in definitions(engine) if "ix_it" in text)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_it")
        connection.exec_driver_sql(definition)
    assert definition not in definitions(engine)

    assert differing(engine, metadata) == ()
