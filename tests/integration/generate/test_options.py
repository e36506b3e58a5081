"""The app's own arguments for Alembic are kept, and what is ours stays out of sight."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy import Column, MetaData, Table

from flask_dualmigrate.errors import UsageError
from flask_dualmigrate.generate import differences
from tests.support.generate.generated import HEADER, pair, run


class Money(sa.types.TypeDecorator[int]):
    """A type of the app's own."""

    impl = sa.Integer
    cache_ok = True


def models(*columns: Column[Any], name: str = "things", **options: Any) -> MetaData:
    metadata = MetaData(**options)
    Table(name, metadata, Column("id", sa.Integer, primary_key=True), *columns)
    return metadata


def execute(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_our_own_tables_are_not_the_apps(engine: sa.Engine) -> None:
    execute(
        engine,
        "CREATE TABLE dualmigrate_journal (id int)",
        "CREATE TABLE alembic_version (version_num varchar(32))",
    )

    assert pair(engine, MetaData()).empty


def test_the_apps_version_table_is_not_one_of_the_models(engine: sa.Engine) -> None:
    execute(engine, "CREATE TABLE our_versions (version_num varchar(32))")

    assert pair(engine, MetaData(), options={"version_table": "our_versions"}).empty


def test_what_the_app_leaves_out_is_left_out(engine: sa.Engine) -> None:
    execute(
        engine, "CREATE TABLE foreign_thing (id int)", "CREATE TABLE other (id int)"
    )

    made = pair(
        engine,
        MetaData(),
        options={
            "include_object": lambda item, name, *_: name != "foreign_thing",
            "include_name": lambda name, kind, parents: name != "other",
        },
    )

    assert made.empty


def test_a_schema_of_the_models_is_looked_into_and_no_other(engine: sa.Engine) -> None:
    execute(
        engine,
        "CREATE SCHEMA audit",
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.old (id int)",
        "CREATE TABLE audit.things (id serial PRIMARY KEY)",
    )

    assert pair(engine, models(schema="audit")).empty


@pytest.mark.parametrize(
    ("option", "empty"),
    [({}, False), ({"compare_type": False}, True)],
    ids=["default", "off"],
)
def test_types_are_compared_unless_the_app_says_no(
    engine: sa.Engine, option: dict[str, Any], empty: bool
) -> None:
    run(engine, pair(engine, models(Column("a", sa.String(5)))).postgres)

    assert (
        pair(engine, models(Column("a", sa.String(9))), options=option).empty is empty
    )


@pytest.mark.parametrize(
    ("option", "empty"),
    [({}, False), ({"compare_server_default": False}, True)],
    ids=["default", "off"],
)
def test_defaults_are_compared_unless_the_app_says_no(
    engine: sa.Engine, option: dict[str, Any], empty: bool
) -> None:
    run(engine, pair(engine, models(Column("a", sa.String))).postgres)
    after = models(Column("a", sa.String, server_default="x"))

    assert pair(engine, after, options=option).empty is empty


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("x", sa.text("'x'::character varying"), True),
        (sa.text("now()"), sa.text("CURRENT_TIMESTAMP"), True),
        (sa.text("gen_random_uuid()"), sa.text("gen_random_uuid()"), True),
        (sa.text("gen_random_uuid()"), sa.text("uuidv4()"), False),
        ("x", "y", False),
        ("x", None, False),
    ],
    ids=["cast", "clock", "function", "another", "value", "none"],
)
def test_defaults_are_compared_by_what_they_mean(
    engine: sa.Engine, old: Any, new: Any, same: bool
) -> None:
    run(engine, pair(engine, models(Column("a", sa.Text, server_default=old))).postgres)

    found = pair(engine, models(Column("a", sa.Text, server_default=new)))

    assert found.empty is same


def test_a_hook_that_empties_the_list_makes_no_revision(engine: sa.Engine) -> None:
    def hook(context: Any, revision: Any, directives: list[Any]) -> None:
        directives.clear()

    assert pair(engine, models(), options={"process_revision_directives": hook}).empty


def test_what_a_hook_adds_is_in_both_scripts(engine: sa.Engine) -> None:
    def hook(context: Any, revision: Any, directives: list[Any]) -> None:
        (script,) = directives
        script.upgrade_ops.ops.append(ops.ExecuteSQLOp("SELECT 'mine'"))

    made = pair(engine, models(), options={"process_revision_directives": hook})

    assert "op.execute(\"SELECT 'mine'\")" in made.postgres
    assert "op.todo(\"Write the equivalent of the SQL: SELECT 'mine'\")" in made.mongo


def test_a_hook_may_give_id_and_message(engine: sa.Engine) -> None:
    def hook(context: Any, revision: Any, directives: list[Any]) -> None:
        directives[0].rev_id = "0001"
        directives[0].message = "mine"

    made = pair(engine, models(), options={"process_revision_directives": hook})

    assert (made.header.revision, made.header.message) == ("0001", "mine")
    assert 'revision = "0001"' in made.mongo
    assert HEADER.revision == "abc"


def test_a_hook_that_makes_several_revisions_is_refused(engine: sa.Engine) -> None:
    def hook(context: Any, revision: Any, directives: list[Any]) -> None:
        directives.append(directives[0])

    with pytest.raises(UsageError, match="2 revisions"):
        pair(engine, models(), options={"process_revision_directives": hook})


def test_a_type_of_the_apps_own_is_imported(engine: sa.Engine) -> None:
    made = pair(engine, models(Column("price", Money)))

    assert f"import {__name__}\n" in made.postgres
    assert f"{__name__}.Money()" in made.postgres
    run(engine, made.postgres)


def test_what_the_app_renders_is_kept(engine: sa.Engine) -> None:
    def render_item(kind: str, item: Any, context: Any) -> str | bool:
        if kind == "type" and isinstance(item, Money):
            context.imports.add("from sqlalchemy import INTEGER as Cents")
            return "Cents()"
        return False

    made = pair(
        engine, models(Column("price", Money)), options={"render_item": render_item}
    )

    assert "from sqlalchemy import INTEGER as Cents\n" in made.postgres
    assert 'sa.Column("price", Cents(), nullable=True)' in made.postgres
    run(engine, made.postgres)


def test_a_batch_is_written_where_the_app_wants_one(engine: sa.Engine) -> None:
    run(engine, pair(engine, models(Column("a", sa.String))).postgres)

    made = pair(
        engine,
        models(Column("a", sa.Integer), Column("b", sa.Integer, index=True)),
        options={"render_as_batch": True},
    )

    assert (
        'with op.batch_alter_table("things", schema=None) as batch_op:' in made.postgres
    )
    assert 'postgresql_using="a::INTEGER"' in made.postgres
    run(engine, made.postgres)
    run(engine, made.postgres, "downgrade")


def test_a_naming_convention_names_both_sides(engine: sa.Engine) -> None:
    convention = {
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
    metadata = models(Column("a", sa.String, unique=True), naming_convention=convention)

    made = pair(engine, metadata)

    assert "uq_things_a" in made.postgres
    assert 'name="uq_things_a"' in made.mongo
    run(engine, made.postgres)
    assert pair(engine, metadata).empty


def test_several_metadatas_are_one_set_of_models(engine: sa.Engine) -> None:
    both: Any = [models(name="a"), models(name="b")]

    made = pair(engine, both)

    assert made.detected == ("add table a", "add table b")


def test_differences_are_told_in_words(engine: sa.Engine) -> None:
    run(engine, pair(engine, models(Column("old", sa.Integer))).postgres)
    metadata = models(Column("status", sa.String, unique=True))
    with engine.connect() as connection:
        found = differences(connection, metadata, options={})

    assert found == (
        "add column things.status",
        "add unique constraint things_status_key on things(status)",
        "remove column things.old",
    )


def test_nothing_is_written_to_the_database(engine: sa.Engine) -> None:
    pair(engine, models(Column("a", sa.Enum("x", name="letter"))))

    inspector = sa.inspect(engine)
    assert inspector.get_table_names() == []
    assert inspector.get_enums() == []  # type: ignore[attr-defined]


def test_sqlite_gets_an_ordinary_alembic_script() -> None:
    engine = sa.create_engine("sqlite://")
    made = pair(engine, models(Column("a", sa.Enum("x", name="letter"))))
    engine.dispose()

    assert 'sa.Enum("x", name="letter")' in made.postgres
