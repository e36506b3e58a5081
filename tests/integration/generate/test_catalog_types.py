"""Types, and the order of an enum's labels, by what PostgreSQL makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import postgresql

from tests.support.generate.evolution import Evolution
from tests.support.generate.generated import differing

LONG = "kind_of_an_organisation_membership_invitation_as_the_law_has_it_2"
WIDE = "ß" * 40

SAME: tuple[Any, ...] = (
    sa.NCHAR(4),
    sa.NCHAR(),
    postgresql.ARRAY(sa.NCHAR(4)),
    sa.Float(24),
    sa.Float(53),
    sa.String(10, collation="C"),
    postgresql.INTERVAL(fields="DAY TO SECOND"),
    postgresql.BIT(varying=True),
    sa.Enum("a", "b", name=LONG),
    postgresql.ARRAY(postgresql.ENUM("a", "b", name=WIDE)),
    postgresql.DOMAIN("d" + WIDE, sa.Text()),
)
CHANGED: tuple[tuple[Any, Any], ...] = (
    (sa.NCHAR(4), sa.NCHAR(8)),
    (sa.NCHAR(4), sa.Unicode(4)),
    (sa.Float(24), sa.Float(53)),
    (sa.String(4), sa.String(4, collation="C")),
    (sa.Text(collation="C"), sa.Text()),
    (postgresql.TIMESTAMP(precision=3), postgresql.TIMESTAMP(precision=6)),
)


def models(types: Any) -> MetaData:
    metadata = MetaData()
    columns = (Column(f"c{at}", type_) for at, type_ in enumerate(types))
    Table("things", metadata, Column("id", sa.Integer, primary_key=True), *columns)
    return metadata


def types_of(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT format_type(atttypid, atttypmod), attcollation FROM pg_attribute "
            "WHERE attrelid = 'things'::regclass AND attnum > 0 ORDER BY attnum"
        )
        return [tuple(row) for row in found]


def test_a_type_is_clean_right_after_the_upgrade(
    make_app: Callable[..., Flask], engine: sa.Engine
) -> None:
    metadata = models(SAME)
    evolution = Evolution(make_app, collections={"things": None})
    evolution.to(models(()))
    evolution.to(metadata)

    assert differing(engine, metadata) == ()
    evolution.down(metadata)
    evolution.up(metadata)


def test_each_change_of_a_type_is_made_and_taken_back(
    make_app: Callable[..., Flask], engine: sa.Engine
) -> None:
    old, new = (models(pair[at] for pair in CHANGED) for at in (0, 1))
    evolution = Evolution(make_app, collections={"things": None})
    evolution.to(old)
    before = types_of(engine)

    assert len(differing(engine, new)) == len(CHANGED)
    evolution.to(new)
    assert differing(engine, new) == ()
    evolution.down(new)
    assert types_of(engine) == before


@pytest.mark.parametrize("name", ["priority", WIDE])
def test_a_changed_order_of_labels_is_made_and_taken_back(
    make_app: Callable[..., Flask], engine: sa.Engine, name: str
) -> None:
    """The rows, the default and the indexes stay; ORDER BY goes by the new order."""

    def ordered(*labels: str) -> MetaData:
        metadata = models([sa.Enum(*labels, name=name)])
        column = metadata.tables["things"].c["c0"]
        column.server_default = sa.DefaultClause("high")
        sa.Index("ix_it", column)
        sa.Index("ix_part", column, postgresql_where=sa.text("c0 = 'low'"))
        return metadata

    def rows() -> list[str]:
        with engine.connect() as connection:
            query = "SELECT c0::text FROM things ORDER BY things.c0"
            return list(connection.exec_driver_sql(query).scalars())

    old = ordered("low", "high", "urgent")
    new = ordered("urgent", "high", "new", "low")
    evolution = Evolution(make_app)
    evolution.to(old)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO things (c0) VALUES ('low'), (DEFAULT), ('urgent')"
        )

    (told,) = differing(engine, new)
    assert told.endswith("add 'new', order them 'urgent', 'high', 'new', 'low'")
    evolution.to(new)
    assert differing(engine, new) == ()
    assert rows() == ["urgent", "high", "low"]
    evolution.down(new)
    assert differing(engine, old) == ()
    assert rows() == ["low", "high", "urgent"]
