"""upgrade, downgrade, stamp and what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import (
    IntegrityError,
    ScriptError,
    TreeError,
    UsageError,
    check,
    current,
    downgrade,
    init,
    show,
    stamp,
    status,
    upgrade,
)
from tests.integration.conftest import MakeApp, Tree
from tests.support.snapshots import mongo_snapshot, postgres_snapshot, stamps

TABLE = 'op.create_table("item", sa.Column("id", sa.Integer, primary_key=True))'
COLLECTION = 'op.create_collection("item")'


@pytest.fixture
def three(tree: Tree) -> Tree:
    """Three revisions, none of them applied."""
    tree.add(
        "r1",
        postgres=TABLE,
        postgres_down='op.drop_table("item")',
        mongo=COLLECTION,
        mongo_down='op.drop_collection("item")',
    )
    tree.add(
        "r2",
        postgres='op.add_column("item", sa.Column("a", sa.Integer))',
        postgres_down='op.drop_column("item", "a")',
        mongo='op.create_index("item", "a", name="ix_a")',
        mongo_down='op.drop_index("item", "ix_a")',
    )
    tree.add("r3")
    init()
    return tree


def cli(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("head", ["r1", "r2", "r3"]),
        ("heads", ["r1", "r2", "r3"]),
        ("r2", ["r1", "r2"]),
        ("+1", ["r1"]),
        ("r1+1", ["r1", "r2"]),
    ],
)
def test_upgrade_takes_the_targets_that_alembic_takes(
    three: Tree,
    engine: sa.Engine,
    mongo_db: Database[Any],
    target: str,
    expected: list[str],
) -> None:
    upgrade(revision=target)
    assert stamps(engine, mongo_db) == (expected[-1:], expected)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("-1", ["r1", "r2"]), ("r1", ["r1"]), ("base", []), ("r3-2", ["r1"])],
)
def test_downgrade_takes_the_targets_that_alembic_takes(
    three: Tree,
    engine: sa.Engine,
    mongo_db: Database[Any],
    target: str,
    expected: list[str],
) -> None:
    upgrade()
    downgrade(revision=target)
    assert stamps(engine, mongo_db) == (expected[-1:], expected)


def test_an_upgrade_at_head_does_nothing(three: Tree) -> None:
    upgrade()
    assert upgrade().steps == ()  # type: ignore[union-attr]


def test_a_side_that_is_behind_is_brought_level(
    three: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    upgrade(backend="mongo")
    assert stamps(engine, mongo_db) == ([], ["r1", "r2", "r3"])
    result = upgrade()
    assert [step.backends for step in result.steps] == [("postgres",)] * 3  # type: ignore[union-attr]
    assert stamps(engine, mongo_db) == (["r3"], ["r1", "r2", "r3"])


def test_a_failure_while_one_side_is_brought_level_leaves_the_other_alone(
    three: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    upgrade(backend="mongo")
    path = three.path("postgres", "r2")
    path.write_text(
        path.read_text().replace("def upgrade():", "def upgrade():\n    1/0")
    )
    with pytest.raises(Exception, match="division"):
        upgrade()
    assert stamps(engine, mongo_db) == (["r1"], ["r1", "r2", "r3"])


def test_dry_run_shows_sql_and_operations_and_touches_nothing(
    three: Tree, app: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    said = cli(app, "upgrade", "--dry-run")
    assert said.exit_code == 0, said.output
    assert "CREATE TABLE item" in said.stdout
    assert "create index ix_a on item (a 1)" in said.stdout
    assert postgres_snapshot(engine) == {}
    assert sa.inspect(engine).get_table_names() == []
    assert mongo_db.list_collection_names() == []


def test_dry_run_refuses_a_script_that_names_what_there_is_not(tree: Tree) -> None:
    tree.add("r1", postgres="nothing_of_that_name()")
    init()
    with pytest.raises(ScriptError, match="nothing_of_that_name"):
        upgrade(dry_run=True)


def test_dry_run_of_a_downgrade_shows_the_way_down(three: Tree, app: Flask) -> None:
    upgrade()
    said = cli(app, "downgrade", "r1", "--dry-run", "--json")
    plan = json.loads(said.stdout)
    assert [item["revision"] for item in plan["revisions"]] == ["r3", "r2"]
    assert "drop index ix_a of item" in said.stdout


def test_a_destructive_step_needs_yes_where_there_is_no_terminal(
    three: Tree, app: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    upgrade()
    said = cli(app, "downgrade", "base")
    assert said.exit_code == 2
    assert "drop_table" in said.output
    assert stamps(engine, mongo_db) == (["r3"], ["r1", "r2", "r3"])
    assert cli(app, "downgrade", "base", "--yes").exit_code == 0
    assert stamps(engine, mongo_db) == ([], [])


def test_the_journal_says_what_was_applied_when_and_how_long(
    three: Tree, mongo_db: Database[Any]
) -> None:
    upgrade()
    doc = mongo_db["_migrations"].find_one({"_id": "r2"})
    assert doc is not None
    assert (doc["revision"], doc["down_revision"]) == ("r2", ["r1"])
    assert (doc["description"], doc["status"]) == ("r2", "applied")
    assert doc["duration_ms"] >= 0
    assert len(doc["checksum"]) == 64
    for row in status().rows:
        for side in row.sides.values():
            assert side.state == "applied"
            assert side.applied_at is not None
            assert side.applied_at.tzinfo is not None


def test_show_lists_all_attempts_on_both_sides(three: Tree) -> None:
    upgrade()
    downgrade(revision="r2")
    upgrade()
    attempts = show(revision="r3").attempts
    for side in attempts.values():
        assert [item["direction"] for item in side] == [
            "upgrade",
            "downgrade",
            "upgrade",
        ]


def test_stamp_marks_both_sides_and_runs_nothing(
    three: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    stamp(revision="r2")
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])
    assert postgres_snapshot(engine) == {}
    assert mongo_snapshot(mongo_db) == {}
    stamp(revision="base")
    assert stamps(engine, mongo_db) == ([], [])


def test_both_sides_hold_the_same_random_pair_id(
    three: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    upgrade()
    query = sa.text("SELECT value FROM dualmigrate_meta WHERE key = 'pair_id'")
    with engine.connect() as connection:
        mine = connection.execute(query).scalar_one()
    meta = mongo_db["_migrations_meta"].find_one({"_id": "pair"})
    assert meta is not None
    assert meta["pair_id"] == mine


def test_databases_of_different_pairs_are_refused(
    three: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    upgrade(revision="r1")
    mongo_db["_migrations_meta"].update_one({"_id": "pair"}, {"$set": {"pair_id": "x"}})
    with pytest.raises(IntegrityError, match="do not belong together"):
        upgrade()
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])


def test_an_edited_applied_script_stops_the_next_upgrade(three: Tree) -> None:
    upgrade(revision="r2")
    path = three.path("mongo", "r1")
    path.write_text(path.read_text() + "# more\n")
    with pytest.raises(IntegrityError, match="MongoDB script of r1 was edited"):
        upgrade()
    kinds = {finding.kind for finding in check().findings}
    assert kinds == {"edited", "pending"}
    stamp(revision="r2")
    upgrade()


def test_line_ends_and_a_bom_are_no_edit(three: Tree) -> None:
    upgrade()
    path = three.path("postgres", "r1")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert "edited" not in {finding.kind for finding in check().findings}


def test_check_names_everything_that_is_wrong(
    three: Tree, app: Flask, tmp_path: Path
) -> None:
    three.add("r4", mongo='op.todo("say how")')
    three.path("mongo", "r3").unlink()
    findings = {finding.kind for finding in check().findings}
    assert findings == {"pair", "todo", "pending", "lock-file"}
    said = cli(app, "check")
    assert said.exit_code == 3
    assert "r3" in said.stdout


def test_check_finds_a_deleted_applied_script(three: Tree) -> None:
    upgrade()
    for backend in ("postgres", "mongo"):
        three.path(backend, "r3").unlink()
    init()
    kinds = [finding.kind for finding in check().findings]
    assert kinds == ["deleted", "deleted", "models"]
    with pytest.raises(IntegrityError, match="ahead of this code"):
        upgrade()


def test_a_todo_is_refused_before_either_database_is_touched(
    tree: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    tree.add("r1", postgres=TABLE, mongo=f'{COLLECTION}\nop.todo("say how")')
    init()
    with pytest.raises(TreeError, match="say how"):
        upgrade()
    assert sa.inspect(engine).get_table_names() == []
    assert mongo_db.list_collection_names() == []


def test_a_missing_partner_is_refused_with_the_command_that_writes_it(
    three: Tree,
) -> None:
    three.path("mongo", "r2").unlink()
    with pytest.raises(TreeError, match="revision --pair r2"):
        upgrade()


def test_current_says_where_each_side_stands(three: Tree, app: Flask) -> None:
    upgrade(revision="r2")
    upgrade(backend="mongo")
    assert current().heads == {"mongo": ("r3",), "postgres": ("r2",)}
    assert not current().at_head
    assert "PostgreSQL: r2" in cli(app, "current").stdout


def test_an_unknown_target_names_the_nearest(three: Tree) -> None:
    with pytest.raises(UsageError, match=r"Did you mean r\d"):
        upgrade(revision="r9")


def test_x_arguments_reach_the_alembic_script(
    tree: Tree, app: Flask, engine: sa.Engine
) -> None:
    tree.add(
        "r1",
        postgres="from alembic import context\n"
        "name = context.get_x_argument(as_dictionary=True)['name']\n"
        "op.create_table(name, sa.Column('id', sa.Integer))",
    )
    init()
    said = cli(app, "upgrade", "-x", "name=chosen")
    assert said.exit_code == 0, said.output
    assert "chosen" in sa.inspect(engine).get_table_names()


def test_options_of_alembic_are_passed_on(
    make_app: MakeApp, engine: sa.Engine, tmp_path: Path
) -> None:
    app = make_app(version_table="my_version")
    with app.app_context():
        init()
        Tree(tmp_path / "migrations").add("r1")
        init()
        upgrade()
    assert "my_version" in sa.inspect(engine).get_table_names()


def test_the_engine_of_the_app_keeps_its_own_lock_timeout(
    three: Tree, app: Flask
) -> None:
    upgrade()
    database = app.extensions["sqlalchemy"]
    with database.engine.connect() as connection:
        setting = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    assert setting == "0"
