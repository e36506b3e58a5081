"""Each of Alembic's operations on columns, as a Mongo script says it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql as pg

from .translation import body, recorded, source, table


def add(name: str, column: Column[Any]) -> ops.AddColumnOp:
    return ops.AddColumnOp(name, column)


def alter(name: str, column: str, **changes: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(name, column, **changes)


@pytest.mark.parametrize(
    ("column", "line"),
    [
        (Column("n", sa.Integer), 'op.add_field("items", "n")'),
        (
            Column("n", sa.Integer, server_default="0"),
            'op.add_field("items", "n", default=0)',
        ),
        (
            Column("n", sa.Integer, nullable=False, default=7),
            'op.add_field("items", "n", default=7)',
        ),
        (
            Column("at", sa.DateTime, server_default=sa.func.now()),
            'op.add_field("items", "at", default=op.now())',
        ),
        (
            Column("Größe", sa.Integer, server_default="1"),
            'op.add_field("items", "Größe", default=1)',
        ),
        (
            Column("n", sa.Integer, nullable=False),
            "# items.n must not be null, and has no default.\n"
            'op.add_field("items", "n")',
        ),
    ],
    ids=["null", "server", "client", "now", "not-ascii", "none"],
)
def test_an_added_column_is_a_field(column: Column[Any], line: str) -> None:
    assert body(add("items", column), before=[table("items")]) == line


@pytest.mark.parametrize(
    "column",
    [
        Column("u", sa.Uuid, server_default=sa.text("gen_random_uuid()")),
        Column("n", sa.Integer, server_default=sa.text("nextval('s'::regclass)")),
        Column("n", sa.Integer, sa.Computed("id + 1")),
        Column("n", sa.Integer, sa.Identity()),
        Column("n", sa.Integer, server_default=sa.FetchedValue()),
    ],
    ids=["function", "sequence", "computed", "identity", "fetched"],
)
def test_a_default_of_the_server_is_left_to_a_person(column: Column[Any]) -> None:
    text = source(add("items", column), before=[table("items")])

    assert [op.verb for op in recorded(text)] == ["todo"]


def test_a_dropped_column_takes_every_index_that_has_it_along() -> None:
    made = table(
        "items",
        Column("a", sa.Integer, index=True),
        Column("b", sa.Integer, index=True),
        Column("c", sa.Integer, index=True),
        sa.UniqueConstraint("a", "b", name="uq"),
        sa.Index("ix_b_where", "b", postgresql_where=sa.text("a > 1")),
    )

    assert body(ops.DropColumnOp("items", "a"), before=[made]) == (
        'op.drop_index("items", "ix_b_where")\n'
        'op.drop_index("items", "ix_items_a")\n'
        'op.drop_index("items", "uq")\n'
        'op.drop_field("items", "a")'
    )


def test_a_renamed_column_carries_its_indexes_along() -> None:
    made = table(
        "items",
        Column("a", sa.Integer, index=True),
        sa.Index("ix_where", "id", "a", postgresql_where=sa.text("a IS NULL")),
    )

    assert body(alter("items", "a", modify_name="b"), before=[made]) == (
        'op.drop_index("items", "ix_items_a")\n'
        'op.drop_index("items", "ix_where")\n'
        'op.rename_field("items", "a", "b")\n'
        'op.create_index("items", [("b", 1)], name="ix_items_a")\n'
        "op.create_index(\n"
        '    "items",\n'
        '    [("_id", 1), ("b", 1)],\n'
        '    name="ix_where",\n'
        '    partialFilterExpression={"b": None},\n'
        ")"
    )


@pytest.mark.parametrize(
    "op",
    [
        alter("items", "id", modify_name="key"),
        ops.DropColumnOp("items", "id"),
        alter("items", "id", modify_type=sa.Uuid()),
        ops.DropConstraintOp("items_pkey", "items", type_="primary"),
    ],
    ids=["rename", "drop", "type", "primary-key"],
)
def test_what_would_change_the_id_is_left_to_a_person(op: ops.MigrateOperation) -> None:
    text = source(op, before=[table("items")])

    assert "todo" in [found.verb for found in recorded(text)]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (sa.String, sa.Integer, 'op.convert_field("t", "c", to="int")'),
        (sa.String, sa.BigInteger, 'op.convert_field("t", "c", to="long")'),
        (sa.Integer, sa.Numeric, 'op.convert_field("t", "c", to="decimal")'),
        (sa.Integer, sa.String, 'op.convert_field("t", "c", to="string")'),
        (sa.String, sa.Boolean, 'op.convert_field("t", "c", to="bool")'),
        (
            sa.Boolean,
            sa.Integer,
            'op.convert_field("t", "c", to="int", using={"$toInt": "$c"})',
        ),
        (sa.String, sa.DateTime, 'op.convert_field("t", "c", to="date")'),
        (sa.Numeric, sa.Float, 'op.convert_field("t", "c", to="double")'),
        (
            sa.Text,
            pg.ARRAY(sa.Text),
            'op.convert_field("t", "c", to="array", using=["$c"])',
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_another_bson_type_is_a_conversion(old: Any, new: Any, line: str) -> None:
    op = alter("t", "c", modify_type=new)

    assert body(op, before=[table("t", Column("c", old))]) == line


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (sa.String(50), sa.String(100)),
        (sa.String(50), sa.Text()),
        (sa.Integer(), sa.BigInteger()),
        (sa.Numeric(8, 2), sa.Numeric(12, 4)),
        (sa.Date(), sa.DateTime()),
        (sa.JSON(), pg.JSONB()),
        (sa.Enum("a", name="e"), sa.String(10)),
        (sa.DateTime(), sa.DateTime(timezone=True)),
    ],
    ids=lambda type_: repr(type_),
)
def test_the_same_bson_type_is_a_comment(old: Any, new: Any) -> None:
    text = body(alter("t", "c", modify_type=new), before=[table("t", Column("c", old))])

    assert " becomes " in text
    assert text.endswith("\npass")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (sa.String, sa.Uuid),
        (sa.Uuid, sa.String),
        (sa.String, sa.JSON),
        (pg.ARRAY(sa.Text), sa.Text),
        (sa.LargeBinary, sa.Text),
        (sa.Integer, sa.Date),
        (sa.Interval, sa.Integer),
    ],
    ids=lambda type_: getattr(type_, "__name__", "ARRAY"),
)
def test_a_type_that_mongo_cannot_make_is_left_to_a_person(old: Any, new: Any) -> None:
    op = alter("t", "c", modify_type=new)

    assert body(op, before=[table("t", Column("c", old))]).startswith("op.todo(")


def test_not_null_gives_documents_the_default_and_alters_a_unique_index() -> None:
    column = Column("c", sa.String, unique=True, server_default="x")

    op = alter("t", "c", modify_nullable=False)

    assert body(op, before=[table("t", column)]) == (
        'op.drop_index("t", "t_c_key")\n'
        "# t.c can no longer be null.\n"
        'op.update("t", {"c": None}, {"$set": {"c": "x"}}, keep=True)\n'
        'op.create_index("t", [("c", 1)], name="t_c_key", unique=True)'
    )


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (
            alter("t", "c", modify_nullable=False),
            "# t.c can no longer be null: MongoDB has no such rule.",
        ),
        (
            alter("t", "c", modify_server_default=sa.DefaultClause("y")),
            "# t.c has a different server default: MongoDB has none, and documents "
            "keep theirs.",
        ),
        (
            alter("t", "c", modify_server_default=None),
            "# t.c no longer has a server default: MongoDB has none, and documents "
            "keep theirs.",
        ),
        (alter("t", "c", modify_comment="x"), "# Comment of t.c: MongoDB has none."),
        (
            ops.CreateTableCommentOp("t", "x"),
            "# Comment of table t: MongoDB has none.",
        ),
        (
            ops.CreateForeignKeyOp("fk", "t", "u", ["c"], ["id"]),
            "# Foreign key t.c -> u.id: MongoDB has none.",
        ),
        (
            ops.DropConstraintOp("fk", "t", type_="foreignkey"),
            "# Foreign key fk of t: MongoDB has none.",
        ),
        (
            ops.CreateCheckConstraintOp("ck", "t", sa.text("c > 1")),
            "# Check of t, c > 1: MongoDB has none.",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_has_no_meaning_in_mongo_is_a_comment(
    op: ops.MigrateOperation, text: str
) -> None:
    found = body(op, before=[table("t", Column("c", sa.Integer))])

    assert " ".join(found.replace("\n# ", " ").split()) == f"{text} pass"
