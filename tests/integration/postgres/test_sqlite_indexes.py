"""Indexes on expressions of SQLite: created, dropped, and named where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Column, Index, MetaData, Table, text

from flask_dualmigrate.generate import compare_models
from tests.support.generate.generated import pair, run


@pytest.fixture
def sqlite() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    yield engine
    engine.dispose()


def models(*parts: Any, **options: Any) -> MetaData:
    metadata = MetaData()
    key = Column("id", sa.Integer, primary_key=True)
    columns = (Column("name", sa.String(20)), Column("n", sa.Integer))
    items = [Index("ix_it", *parts, **options)] if parts else []
    Table("things", metadata, key, *columns, *items)
    return metadata


def indexes(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        query = "SELECT sql FROM sqlite_master WHERE type = 'index'"
        return list(connection.exec_driver_sql(query).scalars())


def told(engine: sa.Engine, metadata: MetaData) -> list[str]:
    with engine.connect() as connection:
        found = compare_models(connection, metadata, options={})
    assert found.differences == ()
    return [line for line in found.not_compared if "index" in line]


def test_an_index_on_an_expression_is_made_and_taken_back(sqlite: sa.Engine) -> None:
    models().create_all(sqlite)
    metadata = models(text("lower(name)"), "n")

    source = pair(sqlite, metadata).postgres
    run(sqlite, source)
    assert indexes(sqlite) == ["CREATE INDEX ix_it ON things (lower(name), n)"]
    assert told(sqlite, metadata) == []
    run(sqlite, source, "downgrade")
    assert indexes(sqlite) == []


def test_what_has_other_words_is_named(sqlite: sa.Engine) -> None:
    models(text("lower(name)")).create_all(sqlite)

    assert "upper(name)" in told(sqlite, models(text("upper(name)")))[0]
    assert "which the models do not have" in told(sqlite, models())[0]


def test_another_condition_is_named(sqlite: sa.Engine) -> None:
    old, new = (models("n", sqlite_where=text(f"n > {n}")) for n in (1, 2))
    old.create_all(sqlite)

    assert told(sqlite, old) == []
    assert "WHERE n > 2" in told(sqlite, new)[0]
