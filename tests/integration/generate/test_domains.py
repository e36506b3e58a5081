"""Domains come, change and go with the columns that have them, as enums do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Column, Enum, Integer, MetaData, Table
from sqlalchemy.dialects import postgresql as pg

from flask_dualmigrate.generate import differences
from tests.support.generate.generated import pair, run

Models = Callable[[], MetaData]


def positive(**more: Any) -> pg.DOMAIN:
    return pg.DOMAIN("positive", Integer, **{"check": "VALUE > 0", **more})


def things(*columns: Column[Any], **others: Column[Any]) -> MetaData:
    metadata = MetaData()
    Table("things", metadata, Column("id", Integer, primary_key=True), *columns)
    for name, column in others.items():
        Table(name, metadata, Column("id", Integer, primary_key=True), column)
    return metadata


# Models before, a value for column `a`, models after.
CASES: dict[str, tuple[Models, str | None, Models]] = {
    "of a new table": (
        MetaData,
        None,
        lambda: things(Column("a", positive(default="5", constraint_name="ck"))),
    ),
    "of new columns of two tables": (
        lambda: things(b=Column("x", Integer)),
        None,
        lambda: things(Column("a", positive()), b=Column("y", positive())),
    ),
    "of an array": (things, None, lambda: things(Column("a", pg.ARRAY(positive())))),
    "of an enum": (
        things,
        None,
        lambda: things(
            Column("a", pg.DOMAIN("some", Enum("x", "y", name="letter"), not_null=True))
        ),
    ),
    "with a name to be quoted": (
        things,
        None,
        lambda: things(Column("a", pg.DOMAIN("It's 100%:x", sa.String(5)))),
    ),
    "of a number that gets it": (
        lambda: things(Column("a", Integer)),
        "7",
        lambda: things(Column("a", positive())),
    ),
    "of a text that becomes a number": (
        lambda: things(Column("a", sa.Text)),
        "'7'",
        lambda: things(Column("a", positive())),
    ),
    "with another check": (
        lambda: things(Column("a", positive())),
        "7",
        lambda: things(Column("a", positive(check="VALUE > 5", default="6"))),
    ),
    "with another check, of an array": (
        lambda: things(Column("a", pg.ARRAY(positive()))),
        "'{7}'",
        lambda: things(Column("a", pg.ARRAY(positive(check="VALUE > 5")))),
    ),
    "of another type": (
        lambda: things(Column("a", pg.DOMAIN("code", sa.String(5)))),
        "'7'",
        lambda: things(Column("a", pg.DOMAIN("code", Integer))),
    ),
    "that stays with another column": (
        lambda: things(Column("a", positive()), Column("b", positive())),
        "7",
        lambda: things(Column("b", positive())),
    ),
}


@pytest.mark.parametrize(("before", "value", "after"), CASES.values(), ids=CASES)
def test_a_domain_goes_with_its_columns(
    before: Models, value: str | None, after: Models, engine: sa.Engine
) -> None:
    run(engine, pair(engine, before()).postgres)
    if value is not None:
        with engine.begin() as connection:
            connection.execute(sa.text(f"INSERT INTO things (a) VALUES ({value})"))
    was = domains(engine)
    made = pair(engine, after())
    run(engine, made.postgres)
    there = domains(engine)
    assert clean(engine, after())
    run(engine, made.postgres, "downgrade")
    assert clean(engine, before())
    assert domains(engine) == was
    run(engine, made.postgres)
    assert domains(engine) == there
    back = pair(engine, before())
    run(engine, back.postgres)
    assert clean(engine, before())
    run(engine, back.postgres, "downgrade")
    assert clean(engine, after())


def domains(engine: sa.Engine) -> list[Any]:
    inspector: Any = sa.inspect(engine)
    found = inspector.get_domains(schema="*")
    return [item for item in found if item["schema"] == "public"]


def clean(engine: sa.Engine, metadata: MetaData) -> bool:
    with engine.connect() as connection:
        assert differences(connection, metadata, options={}) == ()
    return True


def test_a_field_of_a_domain_is_of_its_type(engine: sa.Engine) -> None:
    run(engine, pair(engine, things(Column("a", positive()))).postgres)
    made = pair(engine, things(Column("a", sa.String)))
    assert 'op.convert_field("things", "a", to="string")' in made.mongo


def test_a_domain_that_is_not_ours_is_left_alone(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE DOMAIN theirs AS int CHECK (VALUE > 1)"))
    theirs = pg.DOMAIN("theirs", Integer, create_type=False)
    made = pair(engine, things(Column("a", theirs)))
    run(engine, made.postgres)
    assert clean(engine, things(Column("a", theirs)))
    run(engine, made.postgres, "downgrade")
    assert [item["name"] for item in domains(engine)] == ["theirs"]
