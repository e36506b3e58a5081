"""The app's hooks: what they get, when they are called, and what is said of a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import alembic
import pytest
import sqlalchemy as sa
from alembic.operations import ops
from alembic.script import ScriptDirectory
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from flask_dualmigrate import (
    PartialFailure,
    UsageError,
    check,
    index_diff,
    index_sync,
    init,
    revision,
    upgrade,
    verify,
)
from tests.integration.conftest import MakeApp, Tree


@pytest.fixture
def db() -> SQLAlchemy:
    db = SQLAlchemy()
    for name in ("item", "other"):
        sa.Table(
            name,
            db.metadata,
            sa.Column("id", sa.BigInteger, primary_key=True),
            sa.Column("a", sa.Text),
            sa.Column("b", sa.Text),
            sa.Index(f"ix_{name}_a", "a"),
            sa.Index(f"ix_{name}_b", "b"),
        )
    return db


def test_a_hook_finds_the_config_the_scripts_and_the_commands_options(
    make_app: MakeApp, tree: Tree, db: SQLAlchemy
) -> None:
    found: dict[str, Any] = {}

    def hook(context: Any, revision: Any, directives: Any) -> None:
        config = context.config
        found["autogenerate"] = config.cmd_opts.autogenerate
        found["message"] = config.cmd_opts.message
        found["head"] = ScriptDirectory.from_config(config).get_current_head()
        found["same"] = alembic.context.config is config
        found["connection"] = alembic.context.get_bind() is context.connection
        found["revision"] = revision
        directives[0].rev_id = "0002"

    tree.add("r1")
    with make_app(db=db, process_revision_directives=hook).app_context():
        init()
        upgrade()
        made = revision(message="items", autogenerate=True)
    assert made.revision is not None
    assert made.revision.id == "0002"
    assert found == {
        "autogenerate": True,
        "message": "items",
        "head": "r1",
        "same": True,
        "connection": True,
        "revision": ("r1",),
    }


def test_check_asks_the_hook_that_revisions_are_made_by(
    make_app: MakeApp, tree: Tree, db: SQLAlchemy
) -> None:
    def none_of_other(context: Any, revision: Any, directives: Any) -> None:
        operations = directives[0].upgrade_ops.ops
        operations[:] = [op for op in operations if "other" not in repr(vars(op))]

    with make_app(db=db, process_revision_directives=none_of_other).app_context():
        init()
        revision(message="items", autogenerate=True)
        upgrade()
        assert check().ok


@pytest.mark.parametrize(
    "name",
    [
        "process_revision_directives",
        "include_object",
        "include_name",
        "render_item",
        "compare_type",
        "compare_server_default",
    ],
)
def test_a_hook_that_fails_is_named_with_its_file_and_line(
    make_app: MakeApp, tree: Tree, db: SQLAlchemy, engine: sa.Engine, name: str
) -> None:
    def hook(*args: Any, **kwargs: Any) -> Any:
        raise KeyError("nothing")

    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE item (id int PRIMARY KEY, a varchar DEFAULT 1)"
        )
    line = hook.__code__.co_firstlineno + 1
    with make_app(db=db, **{name: hook}).app_context():
        init()
        with pytest.raises(UsageError) as caught:
            revision(message="items", autogenerate=True)
    assert caught.value.what == f"The app's hook {name} failed: KeyError: 'nothing'"
    assert caught.value.where == f"{__file__}:{line}"


def test_on_version_apply_is_called_in_the_transaction_and_beside_our_own(
    make_app: MakeApp, tree: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    told: list[Any] = []

    def applied(*, ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
        told.append((step.up_revision_id, step.is_upgrade, set(heads)))
        if step.up_revision_id == "r2":
            raise ValueError("not this one")

    tree.add("r1", mongo='op.create_collection("one")')
    tree.add("r2", mongo='op.create_collection("two")')
    with make_app(on_version_apply=applied).app_context():
        init()
        with pytest.raises(PartialFailure) as caught:
            upgrade()
    assert told == [("r1", True, {"r1"}), ("r2", True, {"r2"})]
    assert "The app's hook on_version_apply failed: ValueError" in caught.value.what
    assert Path(__file__).name in caught.value.what
    assert caught.value.applied == ("r1",)
    assert {"one"} == {n for n in mongo_db.list_collection_names() if n[0] != "_"}
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert [row[0] for row in rows] == ["r1"]


def test_include_object_is_asked_on_both_sides(
    make_app: MakeApp,
    tree: Tree,
    db: SQLAlchemy,
    engine: sa.Engine,
    mongo_db: Database[Any],
) -> None:
    def include(item: Any, name: str, kind: str, reflected: bool, other: Any) -> bool:
        return "other" not in name and name != "ix_item_b"

    app = make_app(db=db, include_object=include)
    with app.app_context():
        init()
        revision(message="items", autogenerate=True)
        upgrade()
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE other (id int, a text, b text)")
            connection.exec_driver_sql("INSERT INTO other VALUES (1), (2)")
        mongo_db.other.insert_one({"_id": 1})

        assert check().ok
        assert [count.table for count in verify().counts] == ["item"]
        names = {item.name for item in index_diff().differences}
        assert names == {"ix_item_a"}
        assert index_sync().ok
    assert [*mongo_db.other.index_information()] == ["_id_"]
    assert "ix_item_b" not in mongo_db.item.index_information()


def test_a_hook_that_leaves_nothing_of_the_upgrade_makes_no_revision(
    make_app: MakeApp, tree: Tree, db: SQLAlchemy, engine: sa.Engine
) -> None:
    def without_drops(context: Any, revision: Any, directives: Any) -> None:
        operations = directives[0].upgrade_ops.ops
        operations[:] = [op for op in operations if not isinstance(op, ops.DropTableOp)]

    with make_app(db=db, process_revision_directives=without_drops).app_context():
        init()
        revision(message="items", autogenerate=True)
        upgrade()
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE beside (id int)")
        assert revision(message="nothing", autogenerate=True).revision is None


def test_a_script_imports_the_modules_by_the_names_of_the_options(
    make_app: MakeApp, tree: Tree, db: SQLAlchemy
) -> None:
    prefixes = {
        "sqlalchemy_module_prefix": "sqla.",
        "alembic_module_prefix": "alem.",
    }
    index = sa.Index("ix_a_b", *db.metadata.tables["item"].c["a", "b"])
    with make_app(db=db, **prefixes).app_context():
        init()
        db.metadata.tables["item"].indexes.discard(index)
        revision(message="items", autogenerate=True)
        upgrade()
        db.metadata.tables["item"].indexes.add(index)
        index.dialect_options["postgresql"]["concurrently"] = True
        made = revision(message="outside", autogenerate=True)
        upgrade()
    sources = "".join(Path(file).read_text() for file in made.files)
    assert "with alem.get_context().autocommit_block():" in sources
