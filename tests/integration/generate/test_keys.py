"""A key and the keys that point to it get another type together, in one revision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database
from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, MetaData, Table

from flask_dualmigrate.generate import differences
from tests.support.generate.evolution import Evolution
from tests.support.generate.generated import pair, run


def family(type_: Any, **options: Any) -> MetaData:
    """Return parents, their children, and children of both at once."""
    metadata = MetaData()
    Table(
        "parents",
        metadata,
        Column("id", type_, primary_key=True, **options),
        Column("elder_id", type_, ForeignKey("parents.id")),
    )
    Table(
        "children",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("parent_id", type_, ForeignKey("parents.id", ondelete="CASCADE")),
        sa.UniqueConstraint("id", "parent_id", name="uq_both"),
    )
    Table(
        "toys",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("child_id", sa.Integer),
        Column("parent_id", type_),
        ForeignKeyConstraint(
            ["child_id", "parent_id"],
            ["children.id", "children.parent_id"],
            name="fk_both",
        ),
    )
    return metadata


ROWS = """
INSERT INTO parents VALUES ({a}, NULL), ({b}, {a});
INSERT INTO children VALUES (1, {a}), (2, {b});
INSERT INTO toys VALUES (1, 1, {a}), (2, NULL, NULL)
"""
UUID = "00000000-0000-0000-0000-00000000000"
CHANGES: dict[str, tuple[Any, Any, str, str]] = {
    "an integer to a text": (sa.Integer, sa.String(20), "1", "2"),
    "an integer to a numeric": (sa.Integer, sa.Numeric(20, 0), "1", "2"),
    "an integer to a wide one": (sa.Integer, sa.BigInteger, "1", "2"),
    "a text to a uuid": (sa.String(36), sa.Uuid, f"'{UUID}1'", f"'{UUID}2'"),
    "a text to an integer": (sa.Text, sa.BigInteger, "'1'", "'2'"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_all_ends_of_the_keys_are_converted_in_one_revision(
    change: tuple[Any, Any, str, str], engine: sa.Engine
) -> None:
    before, after, a, b = change
    run(engine, pair(engine, family(before)).postgres)
    keys = _keys(engine)
    with engine.begin() as connection:
        connection.execute(sa.text(ROWS.format(a=a, b=b)))
    made = pair(engine, family(after))
    for function in ("upgrade", "downgrade", "upgrade"):
        run(engine, made.postgres, function)
        assert _keys(engine) == keys
    with engine.begin() as connection:
        assert differences(connection, family(after), options={}) == ()
        connection.execute(sa.text("DELETE FROM toys"))
        connection.execute(sa.text("UPDATE parents SET elder_id = NULL"))
        connection.execute(sa.text("DELETE FROM parents"))
        assert connection.scalar(sa.text("SELECT count(*) FROM children")) == 0


def _keys(engine: sa.Engine) -> list[Any]:
    inspector = sa.inspect(engine)
    return [
        sorted(inspector.get_foreign_keys(table), key=lambda key: str(key["name"]))
        for table in ("parents", "children", "toys")
    ]


def test_a_counted_key_is_counted_again_after_the_way_back(engine: sa.Engine) -> None:
    run(engine, pair(engine, family(sa.Integer)).postgres)
    insert = sa.text("INSERT INTO parents DEFAULT VALUES RETURNING id")
    made = pair(engine, family(sa.String))
    with engine.begin() as connection:
        assert connection.scalar(insert) == 1
    run(engine, made.postgres)
    run(engine, made.postgres, "downgrade")
    with engine.begin() as connection:
        assert connection.scalar(insert) == 2
        assert differences(connection, family(sa.Integer), options={}) == ()


def test_both_databases_convert_a_key_and_what_points_to_it(
    engine: sa.Engine,
    make_app: Callable[..., Flask],
    mongo_db: Database[dict[str, Any]],
) -> None:
    def models(type_: Any) -> MetaData:
        metadata = MetaData()
        Table(
            "parents",
            metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("code", type_, unique=True),
        )
        Table(
            "children",
            metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("code", type_, ForeignKey("parents.code")),
        )
        return metadata

    evolution = Evolution(make_app)
    evolution.to(models(sa.Integer))
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO parents VALUES (1, 7); INSERT INTO children VALUES (1, 7)"
            )
        )
    for name in ("parents", "children"):
        mongo_db[name].insert_one({"_id": 1, "code": 7})
    evolution.to(models(sa.String(9)))
    for function in ("there", "back"):
        expected: Any = "7" if function == "there" else 7
        for name in ("parents", "children"):
            with engine.connect() as connection:
                value = connection.scalar(sa.text(f"SELECT code FROM {name}"))
            document = mongo_db[name].find_one()
            assert document is not None
            assert (value, document["code"]) == (expected, expected)
        if function == "there":
            evolution.down(models(sa.String(9)))
