"""What is taken away: counted, asked for, and never done by an automatic upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import UsageError, init, upgrade
from tests.integration.conftest import MakeApp, Tree
from tests.support.snapshots import stamps

Db = Database[Any]


@pytest.fixture
def two(tree: Tree) -> Tree:
    """Rows and documents, and a revision that takes some away on both sides."""
    tree.add(
        "r1",
        postgres='op.execute("CREATE TABLE item (id int primary key, price bigint)")\n'
        'op.execute("INSERT INTO item SELECT n, nullif(n, 3) FROM '
        'generate_series(1, 1200) n")\n'
        'op.execute("CREATE TABLE old (id int)")',
        mongo='op.create_collection("item")\n'
        'op.insert("item", [{"_id": n, "price": n} for n in range(7)])\n'
        'op.insert("old", [{"_id": 1}])',
    )
    init()
    return tree


@pytest.fixture
def losing(two: Tree, app: Flask) -> Tree:
    upgrade()
    two.add(
        "r2",
        postgres='op.drop_column("item", "price")\n'
        'op.drop_table("old")\n'
        'op.execute("DELETE FROM item WHERE id > 5")',
        mongo='op.drop_field("item", "price", keep=False)\n'
        'op.delete("item", {"_id": {"$gte": 5}}, keep=False)\n'
        'op.drop_collection("old", keep=False)',
    )
    init()
    return two


def cli(app: Flask, *words: str, **options: Any) -> Any:
    return app.test_cli_runner(**options).invoke(args=["db-migrate", *words])


def test_the_question_counts_rows_values_and_documents(
    losing: Tree, app: Flask
) -> None:
    said = cli(app, "upgrade")
    assert said.exit_code == 2
    for line in (
        "op.drop_column('item', 'price'): 1,199 values",
        "op.drop_table('old'): 0 rows",
        "op.execute('DELETE FROM item WHERE id > 5'): 1,200 rows",
        "drop field item.price (for good): 7 values",
        "(for good): 2 documents",
        "drop collection old (for good): about 1 document",
    ):
        assert line in said.stderr, said.stderr


def test_what_cannot_be_counted_in_time_is_estimated(
    losing: Tree, app: Flask, monkeypatch: pytest.MonkeyPatch, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("ANALYZE item"))
        connection.execute(sa.text("LOCK item IN ACCESS EXCLUSIVE MODE"))
        monkeypatch.setattr("flask_dualmigrate.postgres.dialects.LIMIT_MS", 50)
        said = cli(app, "upgrade")
    assert "op.drop_column('item', 'price'): about 1,200 values" in said.stderr


@pytest.mark.parametrize("word", ["1", "true", "yes"])
def test_a_variable_of_the_environment_allows_it_without_a_question(
    losing: Tree,
    app: Flask,
    engine: sa.Engine,
    mongo_db: Db,
    monkeypatch: pytest.MonkeyPatch,
    word: str,
) -> None:
    monkeypatch.setenv("DUALMIGRATE_ALLOW_DESTRUCTIVE", word)
    assert cli(app, "upgrade").exit_code == 0
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_an_automatic_upgrade_takes_nothing_away_unless_it_may(
    losing: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Db
) -> None:
    with pytest.raises(UsageError, match=r"permanently remove data.*and 5 more"):
        make_app(auto_upgrade=True)
    assert stamps(engine, mongo_db) == (["r1"], ["r1"])
    make_app(auto_upgrade=True, config={"DUALMIGRATE_ALLOW_DESTRUCTIVE": True})
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_an_empty_database_has_nothing_to_lose(
    two: Tree, make_app: MakeApp, engine: sa.Engine, mongo_db: Db
) -> None:
    two.add(
        "r2",
        postgres='op.drop_table("old")',
        mongo='op.drop_collection("old", keep=False)',
    )
    init()
    make_app(auto_upgrade=True)
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_an_upgrade_that_stopped_on_an_empty_database_is_carried_on(
    two: Tree, app: Flask, make_app: MakeApp, engine: sa.Engine, mongo_db: Db
) -> None:
    upgrade()
    two.add(
        "r2",
        postgres='op.drop_table("old")',
        mongo='op.drop_collection("gone", keep=False)',
    )
    init()
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE item"))
    make_app(auto_upgrade=True)
    assert stamps(engine, mongo_db) == (["r2"], ["r1", "r2"])


def test_a_switch_that_is_neither_on_nor_off_is_refused(make_app: MakeApp) -> None:
    app = make_app(config={"DUALMIGRATE_ALLOW_DESTRUCTIVE": "perhaps"})
    said = cli(app, "upgrade")
    assert said.exit_code == 2
    assert "DUALMIGRATE_ALLOW_DESTRUCTIVE must be True or False" in said.stderr


@pytest.mark.parametrize("kept", [True, False], ids=["backup", "no backup"])
def test_a_downgrade_says_which_rows_do_not_come_back_and_which_backup_has_them(
    two: Tree, make_app: MakeApp, tmp_path: Path, kept: bool
) -> None:
    app = make_app(config={"DUALMIGRATE_BACKUP_DIR": str(tmp_path / "backups")})
    assert cli(app, "upgrade").exit_code == 0
    two.add(
        "r2",
        postgres='op.drop_table("item")\nop.drop_table("old")',
        postgres_down='op.execute("CREATE TABLE item (id int)")\n'
        'op.execute("CREATE TABLE old (id int)")',
    )
    with app.app_context():
        init()
    options = ("--backup", "touched") if kept else ("--no-backup",)
    assert cli(app, "upgrade", "--yes", *options).exit_code == 0
    line = "r2  the rows of item are not restored on PostgreSQL"
    told = "has them, as they were before the upgrade: flask db-migrate restore"
    if not kept:
        told = "and no backup here has them"
    asked = cli(app, "downgrade")
    assert asked.exit_code == 2
    for said in (
        asked.stderr,
        cli(app, "downgrade", "--dry-run").stdout,
        cli(app, "downgrade", "--yes").stdout,
    ):
        assert line in said
        assert told in said
        assert ("rows of old" in said) is not kept  # which its backup saw empty
