"""Each of Alembic's operations on tables, as a Mongo script says it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import Column, ForeignKeyConstraint
from sqlalchemy.dialects import postgresql as pg

from .translation import body, recorded, source, table


def create(made: sa.Table) -> ops.CreateTableOp:
    op = ops.CreateTableOp.from_table(made)
    assert isinstance(op, ops.CreateTableOp)
    return op


def drop(made: sa.Table) -> ops.DropTableOp:
    return ops.DropTableOp.from_table(made)


def add(name: str, column: Column[Any]) -> ops.AddColumnOp:
    return ops.AddColumnOp(name, column)


def alter(name: str, column: str, **changes: Any) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(name, column, **changes)


def test_a_created_table_is_a_collection_and_says_what_mongo_has_not() -> None:
    made = table(
        "items",
        Column("owner_id", sa.Integer),
        Column("price", sa.Numeric),
        ForeignKeyConstraint(["owner_id"], ["users.id"], ondelete="CASCADE"),
        sa.CheckConstraint("price > 0", name="ck_price"),
        comment="things",
    )

    assert body(create(made)) == (
        'op.create_collection("items")\n'
        "# Foreign key items.owner_id -> users.id (ON DELETE CASCADE): MongoDB has "
        "none.\n"
        "# Check of items, price > 0: MongoDB has none.\n"
        "# Comment of table items: MongoDB has none."
    )


def test_a_composite_primary_key_is_a_unique_index() -> None:
    made = sa.Table(
        "likes",
        sa.MetaData(),
        Column("user_id", sa.Integer, primary_key=True),
        Column("item_id", sa.Integer, primary_key=True),
    )

    assert body(create(made)) == (
        'op.create_collection("likes")\n'
        'op.create_index(\n    "likes", [("user_id", 1), ("item_id", 1)], '
        'name="likes_pkey", unique=True\n)'
    )


def test_a_primary_key_of_another_name_is_a_unique_index() -> None:
    made = sa.Table("codes", sa.MetaData(), Column("code", sa.Text, primary_key=True))

    assert 'op.create_index("codes", [("code", 1)], name="codes_pkey"' in body(
        create(made)
    )


def test_a_table_without_a_primary_key_is_a_collection() -> None:
    made = sa.Table("notes", sa.MetaData(), Column("text", sa.Text))

    assert body(create(made)) == 'op.create_collection("notes")'


def test_an_exclude_constraint_is_left_to_a_person() -> None:
    made = table("rooms", Column("during", pg.TSTZRANGE))
    made.append_constraint(
        pg.ExcludeConstraint((made.c.during, "&&"), name="no_overlap")
    )

    assert 'op.todo("ExcludeConstraint no_overlap of rooms' in body(create(made))


def test_a_dropped_table_takes_its_indexes_along() -> None:
    made = table("items", Column("name", sa.Text, index=True, unique=True))
    index = next(iter(made.indexes))

    text = body(ops.DropIndexOp.from_index(index), drop(made), before=[made])

    assert text == 'op.drop_collection("items")'


def test_a_dropped_table_that_shares_its_collection_is_left_to_a_person() -> None:
    first, second = table("cats"), table("dogs")

    text = body(
        drop(first),
        before=[first, second],
        collections={"cats": "pets", "dogs": "pets"},
    )

    assert text.startswith("op.todo(")
    assert "drop_collection" not in text


def test_a_renamed_table_is_a_renamed_collection_with_its_indexes() -> None:
    made = table("items", Column("name", sa.Text, index=True))

    assert body(ops.RenameTableOp("items", "things"), before=[made]) == (
        'op.rename_collection("items", "things")'
    )


def test_a_renamed_table_whose_collection_stays_says_so() -> None:
    text = body(
        ops.RenameTableOp("items", "things"),
        before=[table("items")],
        collections={"items": "item", "things": "item"},
    )

    assert text == "# Table items stays collection item.\npass"


def test_a_renamed_table_renames_fields_that_are_called_otherwise_now() -> None:
    text = body(
        ops.RenameTableOp("logs", "events"),
        before=[table("logs", Column("timestamp", sa.DateTime, index=True))],
        fields={"logs.timestamp": "created_at"},
    )

    assert text == (
        'op.drop_index("logs", "ix_logs_timestamp")\n'
        'op.rename_collection("logs", "events")\n'
        'op.rename_field("events", "created_at", "timestamp")\n'
        'op.create_index("events", [("timestamp", 1)], name="ix_logs_timestamp")'
    )


def test_a_table_of_a_schema_is_called_by_both_names() -> None:
    assert body(create(table("log", schema="audit"))) == (
        'op.create_collection("audit.log")'
    )


@pytest.mark.parametrize(
    "op",
    [
        create(table("audit")),
        drop(table("audit")),
        add("audit", Column("x", sa.Integer)),
        ops.DropColumnOp("audit", "x"),
        alter("audit", "x", modify_nullable=False),
        ops.CreateIndexOp("ix", "audit", ["x"]),
    ],
    ids=lambda op: type(op).__name__,
)
def test_a_table_without_a_mongo_side_is_a_comment(op: ops.MigrateOperation) -> None:
    text = body(op, before=[table("audit")], collections={"audit": None})

    assert text == "# Table audit has no Mongo side.\npass"


@pytest.mark.parametrize("name", ["a$b", "system.x", "_migrations", "_aside_1", ""])
def test_a_name_that_is_no_collections_is_left_to_a_person(name: str) -> None:
    text = source(create(table("items")), collections={"items": name})

    assert "op.todo" in text
    assert recorded(text)[0].verb == "todo"


@pytest.mark.parametrize("name", ["$set", "a.b", "_id"])
def test_a_column_that_is_no_fields_name_is_left_to_a_person(name: str) -> None:
    text = source(add("items", Column(name, sa.Integer)), before=[table("items")])

    assert [op.verb for op in recorded(text)] == ["todo"]


def test_a_dotted_field_that_the_app_names_is_one_in_a_document() -> None:
    text = body(
        add("users", Column("city", sa.Text)),
        before=[table("users")],
        fields={"users.city": "address.city"},
    )

    assert text == 'op.add_field("users", "address.city")'


def test_operations_of_a_batch_are_the_same() -> None:
    inner = [add("t", Column("a", sa.Integer)), ops.DropColumnOp("t", "b")]
    found = [table("t", Column("b", sa.Text))]

    assert body(ops.ModifyTableOps("t", inner), before=found) == body(
        *inner, before=found
    )


def test_an_operation_of_an_extension_is_left_to_a_person() -> None:
    class CreateViewOp(ops.MigrateOperation):
        pass

    assert body(CreateViewOp()) == 'op.todo("Write the equivalent of: CreateViewOp")'


def test_a_comment_is_said_once() -> None:
    op = alter("t", "c", modify_comment="x")

    assert body(op, op, before=[table("t", Column("c", sa.Text))]).count("#") == 1


def test_every_script_is_what_it_records() -> None:
    made = table(
        "items",
        Column("price", sa.Numeric, server_default="0"),
        Column("tags", pg.ARRAY(sa.Text)),
    )
    text = source(
        create(made), add("items", Column("n", sa.Numeric, server_default="1"))
    )

    assert [op.verb for op in recorded(text)] == ["create_collection", "add_field"]
    assert "from bson import Decimal128" in text
