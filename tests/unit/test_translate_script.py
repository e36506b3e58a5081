"""The Mongo partner of an Alembic script that a person wrote."""

from __future__ import annotations

import textwrap
from types import ModuleType
from typing import Any

import pytest

from flask_dualmigrate.generate import Naming, pair_from_script

from .translation import HEADER, recorded

ITEMS = """
op.create_table(
    "items",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), index=True),
    sa.Column("n", sa.Integer, server_default="1"),
    sa.Column("at", sa.DateTime),
    sa.Column("price", sa.Numeric),
)
"""


def script(upgrade: str, downgrade: str = "pass") -> ModuleType:
    """Return a loaded Alembic script."""
    bodies = (("upgrade", upgrade), ("downgrade", downgrade))
    text = "from alembic import op\nimport sqlalchemy as sa\n" + "".join(
        f"def {name}():\n{textwrap.indent(body.strip(), '    ')}\n"
        for name, body in bodies
    )
    module = ModuleType("a_script")
    exec(compile(text, "a_script", "exec"), vars(module))
    return module


def partner(upgrade: str, downgrade: str = "pass", **settings: Any) -> str:
    """Return the partner of a script that follows one that makes the table items."""
    return pair_from_script(
        script(upgrade, downgrade),
        HEADER,
        earlier_scripts=[script(ITEMS)],
        naming=Naming(**settings),
    )


def upgrade_of(source: str) -> str:
    inner = source.partition("def upgrade(op):\n")[2].partition("\n\n\ndef down")[0]
    return textwrap.dedent(inner)


def test_a_script_becomes_its_partner_both_ways() -> None:
    source = pair_from_script(
        script(ITEMS, 'op.drop_table("items")'),
        HEADER,
        naming=Naming({"items": "item"}),
    )

    assert upgrade_of(source) == (
        'op.create_collection("item")\n'
        'op.create_index("item", [("name", 1)], name="ix_items_name")'
    )
    assert [op.verb for op in recorded(source, "downgrade")] == ["drop_collection"]


def test_the_tables_of_earlier_scripts_are_known() -> None:
    assert upgrade_of(partner('op.drop_column("items", "name")')) == (
        'op.drop_index("items", "ix_items_name")\nop.drop_field("items", "name")'
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            'op.alter_column("items", "name", new_column_name="title")',
            'op.drop_index("items", "ix_items_name")\n'
            'op.rename_field("items", "name", "title")\n'
            'op.create_index("items", [("title", 1)], name="ix_items_name")',
        ),
        (
            'with op.batch_alter_table("items") as batch:\n'
            '    batch.drop_column("n")\n'
            '    batch.add_column(sa.Column("m", sa.Integer))',
            'op.drop_field("items", "n")\nop.add_field("items", "m")',
        ),
        (
            'op.add_column("items", sa.Column("code", sa.Integer, unique=True, '
            "nullable=False))",
            "# items.code must not be null, and has no default.\n"
            'op.add_field("items", "code")\n'
            'op.create_index("items", [("code", 1)], name="items_code_key", '
            "unique=True)",
        ),
        (
            'op.rename_table("items", "things")',
            'op.rename_collection("items", "things")',
        ),
        (
            'op.create_index("ix", "items", [sa.text("at DESC")])',
            'op.create_index("items", [("at", -1)], name="ix")',
        ),
        (
            'op.create_unique_constraint("uq", "items", ["n"])',
            'op.create_index(\n    "items",\n    [("n", 1)],\n    name="uq",\n'
            "    unique=True,\n"
            '    partialFilterExpression={"n": {"$type": "number"}},\n)',
        ),
        (
            'op.alter_column("items", "n", type_=sa.String())',
            'op.convert_field("items", "n", to="string")',
        ),
        (
            "op.execute(\"UPDATE items SET name = 'x', n = 2 WHERE name IS NULL\")",
            'op.update("items", {"name": None}, {"$set": {"name": "x", "n": 2}}, '
            "keep=True)",
        ),
        (
            'op.execute("UPDATE items SET n = DEFAULT")',
            'op.update("items", {}, {"$set": {"n": 1}}, keep=True)',
        ),
        (
            'op.execute(sa.text("DELETE FROM items WHERE n > 3;"))',
            'op.delete("items", {"n": {"$gt": 3}})',
        ),
        (
            "t = sa.table('items', sa.column('id'), sa.column('name'))\n"
            "op.bulk_insert(t, [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}])",
            'op.insert("items", [{"_id": 1, "name": "a"}, {"_id": 2, "name": "b"}])',
        ),
        (
            "items = sa.table('items', sa.column('n'))\n"
            "op.execute(sa.update(items).where(items.c.n.is_(None)).values(n=0))",
            'op.update("items", {"n": None}, {"$set": {"n": 0}}, keep=True)',
        ),
        (
            "items = sa.table('items', sa.column('n'))\n"
            "op.execute(sa.update(items).values(n={'a': 1}))",
            'op.todo("Write the equivalent of the SQL: UPDATE items SET n=:n")',
        ),
        (
            'op.execute("CREATE EXTENSION pg_trgm")',
            "# CREATE EXTENSION pg_trgm: nothing to do in MongoDB.\npass",
        ),
        (
            'op.execute("SET a.b = 1; /* all */ UPDATE items SET n = 2")',
            "# SET a.b = 1: nothing to do in MongoDB.\n"
            'op.update("items", {}, {"$set": {"n": 2}}, keep=True)',
        ),
        (
            'op.get_bind().execute(sa.text("UPDATE items SET n = 2"))',
            'op.update("items", {}, {"$set": {"n": 2}}, keep=True)',
        ),
        (
            'op.add_column("items", sa.Column("owner_id", sa.Integer, '
            'sa.ForeignKey("users.id")))',
            'op.add_field("items", "owner_id")\n'
            "# Foreign key items.owner_id -> users.id: MongoDB has none.",
        ),
        (
            'kind = sa.Enum("a", name="kind")\n'
            "kind.create(op.get_bind(), checkfirst=True)\n"
            'op.add_column("items", sa.Column("kind", kind))',
            "# CREATE TYPE kind AS ENUM ('a'): nothing to do in MongoDB.\n"
            'op.add_field("items", "kind")',
        ),
        (
            'op.create_check_constraint("ck", "items", "n > 1")',
            "# Check of items, n > 1: MongoDB has none.\npass",
        ),
        (
            'op.drop_constraint("fk", "items", type_="foreignkey")',
            "# Foreign key fk of items: MongoDB has none.\npass",
        ),
        (
            'op.create_table("a", sa.Column("b", sa.ForeignKey("items.id")))',
            'op.create_collection("a")\n'
            "# Foreign key a.b -> items.id: MongoDB has none.",
        ),
    ],
    ids=range(21),
)
def test_what_a_script_does_is_translated(code: str, expected: str) -> None:
    source = partner(code)

    assert upgrade_of(source) == expected
    recorded(source)


@pytest.mark.parametrize(
    "code",
    [
        'op.execute("UPDATE items SET n = n + 1")',
        'op.execute("UPDATE items SET at = now()")',
        'op.execute("UPDATE items SET id = 3")',
        'op.execute("UPDATE items SET n = 1 FROM other")',
        'op.execute("UPDATE unknown SET n = 1")',
        'op.execute("INSERT INTO items (n) VALUES (1)")',
        'op.execute("CREATE VIEW v AS SELECT 1")',
        'op.execute("CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$")',
        'raise RuntimeError("no")',
        "from flask import current_app\ncurrent_app.config",
        'for row in op.get_bind().execute(sa.text("SELECT n FROM items")): pass',
        'sa.inspect(op.get_bind()).has_table("items")',
    ],
    ids=range(12),
)
def test_what_cannot_be_translated_is_left_to_a_person(code: str) -> None:
    verbs = [op.verb for op in recorded(partner(code))]

    assert verbs == ["todo"]


def test_what_was_recorded_before_an_error_is_translated() -> None:
    source = partner('op.drop_column("items", "n")\nraise RuntimeError("no")')

    assert [op.verb for op in recorded(source)] == ["drop_field", "todo"]
    assert "RuntimeError: no" in source


@pytest.mark.parametrize(
    "code",
    [
        "bind = op.get_bind()\n"
        'names = [row.name for row in bind.execute(sa.text("SELECT name FROM x"))]\n'
        "assert names == []",
        'assert op.get_bind().execute(sa.text("SELECT 1")).scalar() is None',
        "from sqlalchemy.orm import Session\n"
        'assert Session(op.get_bind()).execute(sa.text("SELECT 1")).first() is None',
        "from alembic import context\nassert not context.is_offline_mode()\n"
        'op.get_bind().execute(sa.text("SELECT 1"))',
    ],
    ids=["rows", "scalar", "session", "context"],
)
def test_a_script_that_asks_finds_an_empty_database(code: str) -> None:
    (todo,) = recorded(partner(code))

    assert "queries the database" in str(todo)
    assert "could not be recorded" not in str(todo)


def test_a_script_without_a_downgrade_has_an_empty_one() -> None:
    module = script('op.drop_column("items", "n")')
    del module.downgrade

    source = pair_from_script(module, HEADER, naming=Naming())

    assert recorded(source, "downgrade") == ()


def test_recording_leaves_alembic_as_it_was() -> None:
    import alembic.op

    before = vars(alembic.op).get("_proxy")
    partner('raise RuntimeError("no")')

    assert vars(alembic.op).get("_proxy") is before
