"""The PostgreSQL script runs as it was written: on rows, up, down and up."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Column, Enum, ForeignKey, Index, MetaData, Table
from sqlalchemy.dialects import postgresql as pg

from tests.support.generate.generated import pair, run
from tests.support.snapshots import postgres_snapshot


class Shout(sa.types.TypeDecorator[str]):
    """A type of the app's own, with an enum type behind it."""

    impl = Enum("a", "b", name="loud")
    cache_ok = True


class Size(enum.Enum):
    small = 1
    large = 2


def things(*parts: Any, **others: list[Any]) -> MetaData:
    """Return models with a table `things`, and others by name."""
    metadata = MetaData()
    for name, items in {"things": list(parts), **others}.items():
        Table(name, metadata, Column("id", sa.Integer, primary_key=True), *items)
    return metadata


def in_schema() -> MetaData:
    metadata = things()
    Table(
        "log",
        metadata,
        Column("id", sa.Integer, primary_key=True),
        Column("kind", Enum("a", "b", name="log_kind", schema="audit")),
        Column("thing_id", ForeignKey("things.id")),
        schema="audit",
    )
    return metadata


# Models before, columns and values of a row, models after.
Case = tuple[Callable[[], MetaData], dict[str, str], Callable[[], MetaData]]
CASES: dict[str, Case] = {
    "an enum of two tables": (
        things,
        {},
        lambda: things(
            Column("a", Enum(Size, name="size"), server_default="small"),
            new=[Column("b", Enum(Size, name="size"))],
        ),
    ),
    "an enum of a type of the app's own": (
        things,
        {},
        lambda: things(Column("a", Shout), new=[Column("b", Shout)]),
    ),
    "an array of enums": (
        things,
        {},
        lambda: things(Column("a", pg.ARRAY(Enum("x", name="letter")))),
    ),
    "an enum that goes": (
        lambda: things(Column("a", Enum("x", name="letter"))),
        {"a": "'x'"},
        things,
    ),
    "an enum that stays with another column": (
        lambda: things(
            Column("a", Enum("x", name="letter")), Column("b", Enum("x", name="letter"))
        ),
        {"a": "'x'"},
        lambda: things(Column("b", Enum("x", name="letter"))),
    ),
    "a text that becomes an enum": (
        lambda: things(Column("a", sa.String(9), server_default="x")),
        {"a": "'x'"},
        lambda: things(Column("a", Enum("x", "y", name="letter"), server_default="x")),
    ),
    "an enum that becomes another": (
        lambda: things(Column("a", Enum("x", name="one"), server_default="x")),
        {"a": "'x'"},
        lambda: things(Column("a", Enum("x", "y", name="two"), server_default="x")),
    ),
    "a label more": (
        lambda: things(Column("a", Enum("x", "z", name="letter"))),
        {"a": "'z'"},
        lambda: things(Column("a", Enum("w", "x", "y", "z", "it's", name="letter"))),
    ),
    "a label more that is the default": (
        lambda: things(Column("a", Enum("x", name="letter"), server_default="x")),
        {"a": "'x'"},
        lambda: things(Column("a", Enum("x", "y", name="letter"), server_default="y")),
    ),
    "a label less": (
        lambda: things(Column("a", Enum("x", "y", name="letter"))),
        {"a": "'x'"},
        lambda: things(Column("a", Enum("x", name="letter"))),
    ),
    "a label less of an array": (
        lambda: things(Column("a", pg.ARRAY(Enum("x", "y", name="letter")))),
        {"a": "'{x}'"},
        lambda: things(Column("a", pg.ARRAY(Enum("x", name="letter")))),
    ),
    "a label less under an index": (
        lambda: things(
            Column("a", Enum("x", "y", name="letter"), server_default="x"),
            Index("ix", "id", postgresql_where=sa.text("a = 'x'")),
        ),
        {"a": "'x'"},
        lambda: things(
            Column("a", Enum("x", name="letter"), server_default="x"),
            Index("ix", "id", postgresql_where=sa.text("a = 'x'")),
        ),
    ),
    "a text that becomes a number under an index": (
        lambda: things(
            Column("a", sa.String, server_default="7"),
            Index("ix", "id", postgresql_where=sa.text("a <> '3'")),
        ),
        {"a": "'7'"},
        lambda: things(
            Column("a", sa.Integer, server_default="7"),
            Index("ix", "id", postgresql_where=sa.text("a <> '3'")),
        ),
    ),
    "an index whose condition is a clause": (
        lambda: things(Column("a", sa.Integer)),
        {"a": "1"},
        lambda: things(
            Column("a", sa.Integer),
            Index("ix", "id", postgresql_where=sa.column("a").is_(None)),
            Index("ix_low", "a", postgresql_where=sa.column("a") < 9),
            sa.CheckConstraint(sa.column("a") < 10, name="low"),
        ),
    ),
    "a number that becomes a boolean": (
        lambda: things(Column("a", sa.Integer, server_default="1", nullable=False)),
        {"a": "0"},
        lambda: things(
            Column("a", sa.Boolean, server_default=sa.true(), nullable=False)
        ),
    ),
    "a default that goes with its type": (
        lambda: things(Column("a", sa.String, server_default="7")),
        {"a": "'7'"},
        lambda: things(Column("a", sa.Integer)),
    ),
    "a column that may not be null": (
        things,
        {},
        lambda: things(
            Column("a", sa.String, nullable=False, default="it's 100% :x"),
            Column("b", sa.Boolean, nullable=False, default=False),
            Column("c", Enum(Size, name="size"), nullable=False, default=Size.large),
        ),
    ),
    "nulls that may be no more": (
        lambda: things(
            Column("a", sa.String), Column("b", sa.DateTime), Column("c", sa.String)
        ),
        {},
        lambda: things(
            Column("a", sa.String, nullable=False, default="it's 100% :x"),
            Column("b", sa.DateTime, nullable=False, server_default=sa.func.now()),
            Column("c", sa.Text, nullable=False, server_default="y"),
        ),
    ),
    "constraints without names": (
        lambda: things(Column("a", sa.Integer), other=[]),
        {},
        lambda: things(
            Column("a", sa.Integer, ForeignKey("other.id"), unique=True), other=[]
        ),
    ),
    "a table that others point to goes": (
        lambda: things(
            Column("a", sa.Integer, ForeignKey("parents.id")),
            children=[Column("b", sa.Integer, ForeignKey("parents.id"))],
            parents=[],
        ),
        {},
        lambda: things(Column("a", sa.Integer)),
    ),
    "tables that point to each other": (
        things,
        {},
        lambda: things(
            hens=[Column("egg_id", sa.Integer, ForeignKey("eggs.id"))],
            eggs=[
                Column("hen_id", sa.Integer, ForeignKey("hens.id")),
                Column(
                    "thing_id",
                    sa.Integer,
                    ForeignKey("things.id", use_alter=True, name="fk_late"),
                ),
            ],
        ),
    ),
    "a schema": (things, {}, in_schema),
    "json with defaults": (
        things,
        {},
        lambda: things(
            Column("a", sa.JSON, server_default="[]"),
            Column("b", sa.JSON, server_default=sa.text("'{}'::json")),
            Column("c", pg.JSONB, server_default=sa.text("'{\"a\": 1}'")),
        ),
    ),
    "numbers, identities and computed columns": (
        lambda: things(Column("a", sa.Integer)),
        {"a": "3"},
        lambda: things(
            Column("a", sa.BigInteger),
            Column("b", sa.Integer, sa.Identity()),
            Column("c", sa.Integer, sa.Computed("id * 2")),
        ),
    ),
    "names and comments that want quotes": (
        things,
        {},
        lambda: things(
            Column("select", sa.String, comment='it\'s "x"'),
            Column("CamelCase", sa.String, server_default="a%b"),
            Column("größe 1", sa.Integer, index=True),
            Column("percent", sa.String, server_default=sa.text("'100% \\:x'")),
            Index("ix_percent", "id", postgresql_where=sa.text("percent <> '0%'")),
            Index("ix 1", sa.text('"CamelCase" DESC')),
        ),
    ),
    "a constraint with a percent sign": (
        lambda: things(Column("a", sa.String)),
        {"a": "'fifty'"},
        lambda: things(
            Column("a", sa.String, server_default="5%"),
            new=[Column("b", sa.String), sa.CheckConstraint("b LIKE '%0%'", name="ck")],
        ),
    ),
    "an array of a text": (
        lambda: things(Column("a", sa.String)),
        {"a": "'x'"},
        lambda: things(Column("a", pg.ARRAY(sa.String))),
    ),
}


@pytest.mark.parametrize(("before", "row", "after"), CASES.values(), ids=CASES)
def test_a_generated_script_runs_up_and_down_and_up(
    engine: sa.Engine,
    before: Callable[[], MetaData],
    row: dict[str, str],
    after: Callable[[], MetaData],
) -> None:
    run(engine, pair(engine, before()).postgres)
    with engine.begin() as connection:
        columns, values = ", ".join(["id", *row]), ", ".join(["1", *row.values()])
        connection.exec_driver_sql(f"INSERT INTO things ({columns}) VALUES ({values})")
    found = postgres_snapshot(engine)
    made = pair(engine, after())

    run(engine, made.postgres)
    left = postgres_snapshot(engine)
    assert pair(engine, after()).detected == ()
    run(engine, made.postgres, "downgrade")
    assert pair(engine, before()).detected == ()
    assert without_rows(postgres_snapshot(engine)) == without_rows(found)
    run(engine, made.postgres)
    assert without_rows(postgres_snapshot(engine)) == without_rows(left)


def without_rows(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a downgrade may lose: the values of dropped columns."""
    return {name: parts[:-1] for name, parts in snapshot.items()}


def test_no_enum_type_is_left_behind(engine: sa.Engine) -> None:
    made = pair(engine, things(Column("a", Enum("x", name="letter"))))
    run(engine, made.postgres)
    run(engine, made.postgres, "downgrade")

    assert sa.inspect(engine).get_enums() == []  # type: ignore[attr-defined]


def test_a_label_is_added_without_a_rewrite(engine: sa.Engine) -> None:
    run(engine, pair(engine, things(Column("a", Enum("x", name="letter")))).postgres)

    made = pair(engine, things(Column("a", Enum("x", "y", name="letter"))))

    assert "ADD VALUE IF NOT EXISTS 'y'" in made.postgres.partition("def downgrade")[0]
    assert made.detected == ("change labels of enum letter: add 'y'",)


@pytest.mark.parametrize(
    ("before", "after", "note"),
    [
        (
            lambda: things(),
            lambda: things(Column("a", sa.Integer, nullable=False)),
            "adds it to an empty table only",
        ),
        (
            lambda: things(Column("a", sa.Integer)),
            lambda: things(Column("a", sa.Integer, nullable=False)),
            "refuses NOT NULL while a row is null",
        ),
        (
            lambda: things(Column("a", sa.Integer)),
            lambda: things(Column("a", sa.DateTime)),
            "cannot cast",
        ),
    ],
    ids=["added", "altered", "cast"],
)
def test_what_only_a_person_can_say_is_a_comment(
    engine: sa.Engine,
    before: Callable[[], MetaData],
    after: Callable[[], MetaData],
    note: str,
) -> None:
    run(engine, pair(engine, before()).postgres)

    text = " ".join(pair(engine, after()).postgres.replace("#", "").split())

    assert note in text
