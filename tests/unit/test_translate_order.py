"""The order of Alembic's operations, and the names that PostgreSQL gives."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import Column, ForeignKey, MetaData, Table

from flask_dualmigrate.generate.alembic.ordering import ordered
from flask_dualmigrate.generate.tables.casts import NoCast, using
from flask_dualmigrate.generate.tables.postgres_names import (
    foreign_key_name,
    primary_key_name,
    unique_name,
)
from flask_dualmigrate.generate.tables.words import describe

from .translation import dialect


def models(**points_to: str) -> dict[str, Table]:
    """Return tables, each with a foreign key to those that are named for it."""
    metadata = MetaData()
    for name, targets in points_to.items():
        keys: list[Column[Any]] = [
            Column(f"{to}_id", ForeignKey(f"{to}.id")) for to in targets.split()
        ]
        Table(name, metadata, Column("id", sa.Integer, primary_key=True), *keys)
    return dict(metadata.tables)


def words(operations: list[Any]) -> list[str]:
    found = []
    for op in operations:
        parts = op.ops if isinstance(op, ops.ModifyTableOps) else [op]
        found += [describe(part, dialect()) for part in parts]
    return found


def drops(*tables: Table) -> list[Any]:
    return [ops.DropTableOp.from_table(table) for table in tables]


def creates(*tables: Table) -> list[Any]:
    return [ops.CreateTableOp.from_table(table) for table in tables]


def test_tables_are_dropped_before_those_they_point_to() -> None:
    made = models(a="", b="a", c="b a")

    assert words(ordered(drops(made["a"], made["b"], made["c"]), dialect())) == [
        "remove table c",
        "remove table b",
        "remove table a",
    ]


def test_tables_are_created_after_those_they_point_to() -> None:
    made = models(a="b", b="c", c="")

    assert words(ordered(creates(*made.values()), dialect())) == [
        "add table c",
        "add table b",
        "add table a",
    ]


def test_tables_that_point_to_each_other_get_a_key_afterwards() -> None:
    made = models(a="b", b="a")

    assert words(ordered(creates(*made.values()), dialect())) == [
        "add table a",
        "add table b",
        "add foreign key a(b_id) -> b",
    ]
    assert words(ordered(drops(*made.values()), dialect())) == [
        "remove foreign key a_b_id_fkey of a",
        "remove table b",
        "remove table a",
    ]


def test_a_table_that_points_to_itself_is_created_as_it_is() -> None:
    made = models(a="a")

    assert words(ordered(creates(made["a"]), dialect())) == ["add table a"]


def test_a_key_that_alembic_would_leave_out_is_added() -> None:
    metadata = MetaData()
    made = Table(
        "a",
        metadata,
        Column("b_id", ForeignKey("b.id", use_alter=True, name="fk")),
    )
    Table("b", metadata, Column("id", sa.Integer, primary_key=True))

    assert words(ordered(creates(made), dialect())) == [
        "add table a",
        "add foreign key a(b_id) -> b",
    ]


def test_keys_and_indexes_are_out_of_the_way_of_a_change() -> None:
    changes = ops.ModifyTableOps(
        "a",
        [
            ops.AlterColumnOp("a", "x", modify_type=sa.Integer()),
            ops.CreateIndexOp("ix", "a", ["x"]),
            ops.DropIndexOp("old", "a"),
            ops.CreateForeignKeyOp("fk", "a", "b", ["x"], ["id"]),
            ops.DropConstraintOp("old_fk", "a", type_="foreignkey"),
        ],
    )

    assert words(ordered([changes], dialect())) == [
        "remove foreign key old_fk of a",
        "remove index old of a",
        "change type of column a.x",
        "add index ix on a(x)",
        "add foreign key a(x) -> b",
    ]


def test_operations_of_the_app_stay_where_they_are() -> None:
    made = models(a="", b="a")
    found = [ops.ExecuteSQLOp("SELECT 1"), *drops(made["a"], made["b"])]

    assert ordered(found, dialect()) == found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (unique_name("users", ["email"]), "users_email_key"),
        (unique_name("users", ["a", "b"]), "users_a_b_key"),
        (
            unique_name("users", ["email"], taken={"users_email_key"}),
            "users_email_key1",
        ),
        (primary_key_name("users"), "users_pkey"),
        (foreign_key_name("users", ["a"]), "users_a_fkey"),
        (unique_name("t" * 60, ["c"]), "t" * 57 + "_c_key"),
        (unique_name("t" * 40, ["c" * 40]), "t" * 29 + "_" + "c" * 29 + "_key"),
        (unique_name("ä" * 40, ["c"]), "ä" * 28 + "_c_key"),
    ],
    ids=range(8),
)
def test_a_constraint_without_a_name_gets_the_one_of_postgres(
    name: str, expected: str
) -> None:
    assert name == expected


@pytest.mark.parametrize(
    ("old", "new", "expression"),
    [
        (sa.String(50), sa.Text(), None),
        (sa.Integer(), sa.Numeric(), None),
        (sa.Integer(), sa.String(), None),
        (sa.String(), sa.Numeric(12, 2), "price::NUMERIC(12, 2)"),
        (sa.String(), sa.Enum("a", name="kind"), "price::kind"),
        (sa.Enum("a", name="one"), sa.Enum("a", name="two"), "price::text::two"),
        (sa.Boolean(), sa.BigInteger(), "price::integer"),
        (sa.Numeric(), sa.Boolean(), "price <> 0"),
        (
            sa.Text(),
            sa.ARRAY(sa.Text()),
            "CASE WHEN price IS NOT NULL THEN ARRAY[price] END",
        ),
    ],
    ids=range(9),
)
def test_a_change_of_type_says_using_where_postgres_wants_it(
    old: Any, new: Any, expression: str | None
) -> None:
    assert using("price", old, new, dialect()) == expression


def test_a_cast_that_postgres_has_not_is_told() -> None:
    with pytest.raises(NoCast):
        using("price", sa.Integer(), sa.DateTime(), dialect())
