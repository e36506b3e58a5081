"""CHECKs and generated columns, by what PostgreSQL makes of what is declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import CheckConstraint, Column, Computed, MetaData, Table

from flask_dualmigrate.generate import compare_models
from flask_dualmigrate.generate.proposals import Comparison
from tests.support.generate.evolution import Evolution
from tests.support.generate.generated import compared


def models(*items: Any) -> MetaData:
    metadata = MetaData()
    Table(
        "goods",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("price", sa.Numeric(8, 2)),
        Column("name", sa.String(40)),
        *items,
    )
    return metadata


def check(sql: Any, name: str | None = "ck_it") -> Callable[[], list[Any]]:
    return lambda: [CheckConstraint(sql, name=name)]


def computed(sql: str, *, persisted: bool = True) -> Callable[[], list[Any]]:
    return lambda: [Column("it", sa.Text, Computed(sql, persisted=persisted))]


WAYS: dict[str, tuple[Callable[[], list[Any]], Callable[[], list[Any]]]] = {
    "a check": (check("price > 0"), check("price > 1 AND name LIKE 'a:b%'")),
    "a check in other words": (check("NOT price <= 0"), check(sa.text("price >= 0"))),
    "a check of a list": (check("name IN ('a', 'b')"), check("name IN ('a', 'c')")),
    "a check without a name": (check("price > 0", None), check("price > 2", None)),
    "a new check": (list, check("price > 0")),
    "an expression": (
        computed("lower(name)"),
        computed("upper(name) || 'x:y 100%'"),
    ),
    "a virtual expression": (
        computed("lower(name)", persisted=False),
        computed("upper(name)", persisted=False),
    ),
}


def there(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'c' UNION ALL SELECT pg_get_expr(adbin, adrelid) "
            "FROM pg_attrdef ORDER BY 1"
        )
        return list(found.scalars())


@pytest.mark.parametrize("way", WAYS)
def test_what_a_table_says_is_compared_made_and_taken_back(
    make_app: Callable[..., Flask], engine: sa.Engine, way: str
) -> None:
    old, new = (models(*make()) for make in WAYS[way])
    evolution = Evolution(make_app)
    evolution.to(old)
    before = there(engine)
    assert compared(engine, old) == Comparison(())

    assert compared(engine, new).differences
    evolution.to(new)
    assert compared(engine, new) == Comparison(())
    assert there(engine) != before
    evolution.down(new)
    assert compared(engine, old) == Comparison(())
    if "list" not in way:  # PostgreSQL reads its own words, and words them anew
        assert there(engine) == before


def test_a_check_that_the_models_do_not_have_is_left_and_told(
    engine: sa.Engine,
) -> None:
    models(*check("price > 0")()).create_all(engine)

    told = "check constraint ck_it of goods, which the models do not have"
    assert compared(engine, models()) == Comparison((), (told,))


def test_a_column_that_becomes_a_generated_one_is_a_difference_for_a_person(
    engine: sa.Engine,
) -> None:
    models(Column("it", sa.Text)).create_all(engine)

    (told,) = compared(engine, models(*computed("lower(name)")())).differences
    assert told == (
        "generated column goods.it: none -> lower(name) (by hand: drop the column, and "
        "add it as declared)"
    )


def test_where_no_copy_may_be_made_that_is_said(engine: sa.Engine) -> None:
    metadata = models(
        *check("price > 0")(),
        sa.Index("ix_it", "name", postgresql_where=sa.text("price > 3")),
    )
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only TO on")
        connection.commit()
        found = compare_models(connection, metadata, options={})

    assert found.differences == ()
    assert [line.partition(" (")[0] for line in found.not_compared] == [
        "index ix_it of goods",
        "check constraint ck_it of goods",
    ]
