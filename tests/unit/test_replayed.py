"""What `check` says of the models where PostgreSQL is not in use."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from flask_dualmigrate.generate import Comparison
from flask_dualmigrate.generate.replayed_models import against_scripts

from .test_translate_script import script

ITEMS = """
op.create_table(
    "items",
    sa.Column("id", sa.BigInteger(), nullable=False),
    sa.Column("name", sa.String(length=40), nullable=True),
    sa.Column("kind", sa.Enum("a", "b", name="kind"), server_default="a"),
    sa.Column("level", sa.Enum("x", "yy", name="lvl", native_enum=False)),
    sa.Column("price", sa.Numeric(10, 2), server_default=sa.text("5")),
    sa.CheckConstraint("price > 0", name="ck_price"),
    sa.PrimaryKeyConstraint("id"),
    sa.UniqueConstraint("name", "kind"),
)
op.create_index("ix_price", "items", ["price"], postgresql_where=sa.text("price > 3"))
"""


def models(**changed: Any) -> sa.MetaData:
    """Return the models that ITEMS was made from, but for some columns."""
    columns = {
        "id": sa.Column("id", sa.BigInteger, primary_key=True),
        "name": sa.Column("name", sa.String(40)),
        "kind": sa.Column(
            "kind", postgresql.ENUM("a", "b", name="kind"), server_default="a"
        ),
        "level": sa.Column("level", sa.Enum("x", "yy", name="l", native_enum=False)),
        "price": sa.Column("price", sa.Numeric(10, 2), server_default="5"),
        **changed,
    }
    metadata = sa.MetaData()
    table = sa.Table(
        "items",
        metadata,
        *(column for column in columns.values() if column is not None),
        sa.CheckConstraint("price>0", name="ck_price"),
        sa.UniqueConstraint("name", "kind"),
    )
    sa.Index("ix_price", table.c.price, postgresql_where=table.c.price > 3)
    return metadata


def compared(metadata: sa.MetaData, *scripts: str, options: Any = None) -> Comparison:
    modules = {f"r{number}": script(text) for number, text in enumerate(scripts, 1)}
    return against_scripts(metadata, modules, options=options or {})


def test_models_that_the_scripts_make_differ_in_nothing() -> None:
    found = compared(models(), ITEMS)

    assert found.differences == ()
    assert len(found.not_compared) == 1
    assert "PostgreSQL was not used" in found.not_compared[0]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"n": sa.Column("n", sa.Integer)}, "add column items.n"),
        ({"level": None}, "remove column items.level"),
        (
            {"name": sa.Column("name", sa.String(50))},
            "change type of column items.name",
        ),
        (
            {"name": sa.Column("name", sa.String(40), nullable=False)},
            "change nullable of column items.name",
        ),
        (
            {"price": sa.Column("price", sa.Numeric(10, 2), server_default="6")},
            "change server default of column items.price",
        ),
        (
            {"kind": sa.Column("kind", sa.Enum("a", name="kind"), server_default="a")},
            "change type of column items.kind",
        ),
        (
            {
                "kind": sa.Column(
                    "kind", sa.Enum("b", "a", name="kind"), server_default="a"
                )
            },
            "change type of column items.kind",
        ),
        (
            {"name": sa.Column("name", sa.String(40, collation="C"))},
            "change type of column items.name",
        ),
        (
            {
                "level": sa.Column(
                    "level", sa.Enum("x", "yy", "z", native_enum=False, name="l")
                )
            },
            "change labels of column items.level",
        ),
        (
            {"level": sa.Column("level", sa.String(2), index=True)},
            "add index ix_items_level on items(level)",
        ),
        (
            {"level": sa.Column("level", sa.String(2), primary_key=True)},
            "change primary key of items",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_model_is_found(changed: Any, difference: str) -> None:
    assert difference in compared(models(**changed), ITEMS).differences


def test_an_index_and_a_check_are_compared_by_what_they_say() -> None:
    other = ITEMS.replace("price > 3", "price > 4").replace("price > 0", "price > 1")

    assert set(compared(models(), other).differences) == {
        "change index ix_price of items",
        "change check constraint ck_price of items",
    }


def test_tables_that_one_of_the_two_lacks_are_found() -> None:
    assert compared(models()).differences == ("add table items",)
    assert compared(sa.MetaData(), ITEMS).differences == ("remove table items",)


def test_an_app_without_tables_hears_nothing() -> None:
    assert compared(sa.MetaData(), "pass") == Comparison(())


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ("ALTER TABLE items ADD COLUMN n int", "table items: a script changes"),
        ("ALTER TABLE items ALTER name TYPE text", "column items.name: a script"),
        ("DROP INDEX ix_price", "index ix_price: a script changes"),
        ("ALTER TYPE kind RENAME VALUE 'b' TO 'c'", "the labels of enum kind"),
        ("DO 'anything'", "what revision r2 does in raw SQL: DO 'anything'"),
    ],
)
def test_what_a_script_changes_by_sql_is_not_compared_and_told(
    later: str, said: str
) -> None:
    found = compared(models(), ITEMS, f"op.execute({later!r})")

    assert found.differences == ()
    assert any(each.startswith(said) for each in found.not_compared)


def test_labels_of_a_text_go_by_the_last_script_that_tells_them() -> None:
    longer = sa.Enum("x", "z", native_enum=False, name="l", length=2)
    changed = models(level=sa.Column("level", longer))
    alter = 'op.alter_column("items", "level", type_=sa.{})'
    told = alter.format('Enum("x", "z", length=2, native_enum=False)')
    check = 'op.create_check_constraint("ck_level", "items", "level IN (\'x\', \'z\')")'

    assert compared(changed, ITEMS, told).differences == ()
    assert compared(changed, ITEMS, check).differences == ()
    untold = compared(changed, ITEMS, alter.format("String(2)"))
    assert untold.differences == ()
    assert untold.not_compared[1].startswith("the labels of column items.level: no")


def test_the_order_of_labels_added_by_sql_is_told_as_not_compared() -> None:
    wider = sa.Enum("c", "a", "b", name="kind")
    changed = models(kind=sa.Column("kind", wider, server_default="a"))
    added = "ALTER TYPE kind ADD VALUE 'c' BEFORE 'a'"

    found = compared(changed, ITEMS, f"op.execute({added!r})")

    assert found.differences == ()
    assert "the order of the labels of enum kind" in found.not_compared[1]


def test_a_label_that_a_script_adds_by_sql_is_known() -> None:
    wider = sa.Enum("a", "b", "c", name="kind")
    changed = models(kind=sa.Column("kind", wider, server_default="a"))
    added = "ALTER TYPE kind ADD VALUE IF NOT EXISTS 'c'"

    assert compared(changed, ITEMS).differences == ("change type of column items.kind",)
    assert compared(changed, ITEMS, f"op.execute({added!r})").differences == ()


def test_data_changes_are_no_changes_of_tables() -> None:
    later = "op.execute(\"UPDATE items SET name = 'x'\")"

    assert len(compared(models(), ITEMS, later).not_compared) == 1


def test_a_script_that_asks_the_database_is_named() -> None:
    later = 'op.get_bind().execute(sa.text("SELECT 1")).fetchall()'
    failing = 'op.get_bind().execute(sa.text("SELECT 1")).one()'

    assert (
        "r2 does depending on the result of a query"
        in compared(models(), ITEMS, later).not_compared[1]
    )
    (said,) = compared(models(), ITEMS, failing).not_compared
    assert said.startswith("the models: the Alembic script of revision r2 cannot be")


def test_hooks_say_what_is_compared() -> None:
    def include(item: Any, name: str, kind: str, reflected: bool, _: Any) -> bool:
        return name not in ("others", "level", "ix_price")

    others = 'op.create_table("others", sa.Column("id", sa.Integer))'
    changed = models(level=sa.Column("level", sa.Integer))

    assert len(compared(changed, ITEMS, others).differences) == 2
    options = {"include_object": include}
    assert compared(changed, ITEMS, others, options=options).differences == ()
