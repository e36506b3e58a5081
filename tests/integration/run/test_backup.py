"""A backup before a run: what is in it, and what a run is refused for."""

from __future__ import annotations

import json
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import (
    backup_create,
    backup_list,
    backup_prune,
    backup_verify,
    downgrade,
    init,
    upgrade,
)
from flask_dualmigrate.backups import BackupStore, Scope, layout
from flask_dualmigrate.errors import BackupError, UsageError
from flask_dualmigrate.results import PlanResult
from tests.integration.conftest import MakeApp, Tree
from tests.support.backup_runs import documents, manifest_of, metadata, rows_of, run
from tests.support.snapshots import mongo_snapshot, postgres_snapshot

ADD_STATUS = {
    "postgres": 'op.add_column("items", sa.Column("status", sa.Text))',
    "postgres_down": 'op.drop_column("items", "status")',
    "mongo": 'op.add_field("item", "status", default="new")',
    "mongo_down": 'op.drop_field("item", "status")',
}


@pytest.fixture
def status(shop_tree: Tree, filled: None) -> Tree:
    """A tree whose r2 adds a field to what is filled; it is not applied."""
    shop_tree.add("r2", **ADD_STATUS)
    init()
    return shop_tree


def flask(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["db-migrate", *words])


def test_an_upgrade_backs_up_what_it_touches_on_both_sides(
    status: Tree, backups: BackupStore, mongo_db: Database[Any]
) -> None:
    result = run()
    manifest = manifest_of(backups, result.backup)
    assert manifest.plan == ("r2",)
    assert manifest.postgres is not None
    assert manifest.postgres.applied == ("r1",)
    tables = {table.name: table.rows for table in manifest.postgres.tables or ()}
    assert tables.keys() == {
        *("items", "alembic_version", "dualmigrate_journal", "dualmigrate_meta")
    }
    assert tables["items"] == 9
    script = rows_of(backups, manifest.name)
    assert "9\tn9" in script
    assert "items (id, name)" in script
    name = mongo_db.name
    assert documents(backups, manifest.name, name, "item") == [
        {"_id": n, "name": f"n{n}"} for n in range(7)
    ]
    found = metadata(backups, manifest.name, name, "item")
    assert [index["name"] for index in found["indexes"]] == ["_id_", "name_1"]
    assert (
        "CREATE TABLE public.logs"
        in (backups.root / manifest.name / layout.POSTGRES_SCHEMA).read_text()
    )


def test_a_downgrade_backs_up_too(status: Tree, backups: BackupStore) -> None:
    run()
    manifest = manifest_of(backups, run(downgrade).backup)
    assert (manifest.direction, manifest.plan) == ("downgrade", ("r2",))
    assert manifest.mongo is not None
    assert manifest.mongo.applied == ("r1", "r2")


def test_a_backup_says_what_the_plan_makes(
    shop_tree: Tree, filled: None, backups: BackupStore
) -> None:
    shop_tree.add(
        "r2",
        postgres='op.rename_table("items", "goods")',
        mongo='op.rename_collection("item", "good")',
    )
    manifest = manifest_of(backups, run().backup)
    assert manifest.postgres is not None
    assert manifest.mongo is not None
    tables = {t.name: t.existed for t in manifest.postgres.tables or ()}
    collections = {c.name: c.existed for c in manifest.mongo.collections or ()}
    assert (tables["items"], tables["goods"]) == (True, False)
    assert (collections["item"], collections["good"]) == (True, False)


def test_what_is_empty_is_not_backed_up_and_needs_no_pg_dump(
    shop: Flask, shop_tree: Tree, backups: BackupStore
) -> None:
    shop.config["DUALMIGRATE_PG_DUMP"] = "/nowhere/pg_dump"
    shop_tree.add("r2", **ADD_STATUS)
    init()
    assert not backups.root.exists()
    told = flask(shop, "upgrade")
    assert told.exit_code == 0
    assert "No backup: nothing that this run touches holds data" in told.stderr
    assert not backups.root.exists()


def test_tables_that_hold_data_and_are_not_touched_cost_nothing(
    shop: Flask, shop_tree: Tree, filled: None
) -> None:
    shop_tree.add("r2", postgres='op.create_table("x", sa.Column("a", sa.Integer))')
    assert run().backup is None


@pytest.mark.parametrize("word", ["all", "touched"])
def test_all_or_what_is_touched_is_backed_up(
    word: str, status: Tree, backups: BackupStore
) -> None:
    manifest = manifest_of(backups, run(backup=word).backup)
    assert manifest.scope == word
    assert manifest.mongo is not None
    assert (manifest.mongo.collections is None) == (word == Scope.ALL)
    assert ("TABLE public.logs" in rows_of(backups, manifest.name)) == (word == "all")


def test_never_and_no_backup_make_none(
    shop: Flask, status: Tree, backups: BackupStore
) -> None:
    assert flask(shop, "upgrade", "--no-backup").exit_code == 0
    shop.config["DUALMIGRATE_BACKUP"] = "never"
    assert run(downgrade).backup is None
    assert backups.list() == ()


def images(engine: sa.Engine, db: Database[Any]) -> tuple[Any, Any]:
    return postgres_snapshot(engine), mongo_snapshot(db)


def test_one_that_is_too_large_is_refused_with_its_size(
    shop: Flask, status: Tree, engine: sa.Engine, mongo_db: Database[Any]
) -> None:
    shop.config["DUALMIGRATE_BACKUP_MAX_BYTES"] = 1000
    before = images(engine, mongo_db)
    with pytest.raises(UsageError, match=r"would be of \d+\.\d KiB") as told:
        upgrade()
    assert "items on PostgreSQL and item on MongoDB" in str(told.value)
    assert images(engine, mongo_db) == before
    assert flask(shop, "upgrade", "--backup", "touched").exit_code == 0


def test_an_app_that_upgrades_by_itself_backs_up_first(
    make_app: MakeApp, shop: Flask, status: Tree, backups: BackupStore
) -> None:
    shop.config["DUALMIGRATE_BACKUP_MAX_BYTES"] = 1000
    config = {k: v for k, v in shop.config.items() if k.startswith("DUALMIGRATE_")}
    with pytest.raises(UsageError, match="DUALMIGRATE_BACKUP_MAX_BYTES"):
        make_app(config=config, auto_upgrade=True)
    make_app(
        config={**config, "DUALMIGRATE_BACKUP_MAX_BYTES": 10**9}, auto_upgrade=True
    )
    assert [manifest.plan for manifest in backups.list()] == [("r2",)]


def test_a_dry_run_says_what_would_be_backed_up(
    shop: Flask, status: Tree, backups: BackupStore
) -> None:
    plan = upgrade(dry_run=True)
    assert isinstance(plan, PlanResult)
    assert plan.backup is not None
    assert plan.backup.startswith("items on PostgreSQL and item on MongoDB (")
    assert "A backup of items" in flask(shop, "upgrade", "--dry-run").stdout
    assert not backups.root.exists()


def test_the_result_names_the_backup(
    shop: Flask, status: Tree, backups: BackupStore
) -> None:
    told = flask(shop, "upgrade", "--json")
    (manifest,) = backups.list()
    assert json.loads(told.stdout)["backup"] == manifest.name
    assert f"Backup {manifest.name}" in told.stderr
    down = flask(shop, "downgrade", "--yes")
    assert f"Backup before it: {backups.list()[-1].name}" in down.stdout


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """Let no process of ours write a file beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size_bytes", [0, 100, 2000])
def test_a_disk_without_room_stops_the_run_before_it_begins(
    size_bytes: int,
    status: Tree,
    backups: BackupStore,
    engine: sa.Engine,
    mongo_db: Database[Any],
) -> None:
    before = images(engine, mongo_db)
    with room_for(size_bytes), pytest.raises(BackupError) as told:
        upgrade()
    assert len(str(told.value).splitlines()) == 1
    assert images(engine, mongo_db) == before
    assert backups.names() == []
    assert run().backup is not None


def _link(root: Path) -> None:
    root.with_name("elsewhere").mkdir()
    root.symlink_to(root.with_name("elsewhere"))


def _for_all(root: Path) -> None:
    root.mkdir()
    root.chmod(0o1777)


@pytest.mark.parametrize("spoil", [_link, _for_all], ids=["link", "for all"])
def test_an_unsafe_folder_stops_the_run_before_it_begins(
    spoil: Any, shop: Flask, status: Tree, backups: BackupStore, engine: sa.Engine
) -> None:
    spoil(backups.root)
    before = postgres_snapshot(engine)
    told = flask(shop, "upgrade")
    assert told.exit_code == 4
    assert "Backups would not be safe" in told.stderr
    assert postgres_snapshot(engine) == before
    assert list(backups.root.iterdir()) == []


def test_the_default_folder_is_in_the_instance_folder(
    shop: Flask, status: Tree, tmp_path: Path
) -> None:
    shop.instance_path = str(tmp_path / "instance")
    shop.config["DUALMIGRATE_BACKUP_DIR"] = None
    name = run().backup
    assert name is not None
    place = tmp_path / "instance" / "dualmigrate_backups"
    assert stat.S_IMODE((place / name).stat().st_mode) == 0o700


def test_a_side_that_is_not_in_use_is_not_backed_up(
    make_app: MakeApp, shop: Flask, status: Tree, backups: BackupStore
) -> None:
    config = {k: v for k, v in shop.config.items() if k.startswith("DUALMIGRATE_")}
    with make_app(active="mongo", config=config).app_context():
        manifest = manifest_of(backups, run(backend="mongo").backup)
    assert manifest.postgres is None
    assert manifest.mongo is not None


def test_backups_are_made_listed_verified_and_pruned(
    shop: Flask, status: Tree, backups: BackupStore
) -> None:
    run()
    made = backup_create().backup
    assert [backup.name for backup in backup_list().backups] == [
        manifest.name for manifest in backups.list()
    ]
    assert made.revisions == ()
    assert made.scope == "all"
    assert backup_verify().ok
    pruned = backup_prune(keep=1)
    assert [backup.revisions for backup in pruned.removed] == [("r2",)]
    assert [manifest.name for manifest in backups.list()] == [made.name]


def test_the_list_is_json_of_objects_oldest_first(shop: Flask, status: Tree) -> None:
    run()
    run(downgrade)
    listed = json.loads(flask(shop, "backup", "list", "--json").stdout)
    assert [entry["revisions"] for entry in listed] == [["r2"], ["r2"]]
    assert [entry["direction"] for entry in listed] == ["upgrade", "downgrade"]
    assert listed[0]["created_at"] <= listed[1]["created_at"]
    assert listed[0]["size_bytes"] > 0


def test_verify_says_what_is_damaged_and_ends_with_3(
    shop: Flask, status: Tree, backups: BackupStore
) -> None:
    name = run().backup
    assert name is not None
    assert flask(shop, "backup", "verify", name).exit_code == 0
    (backups.root / name / layout.POSTGRES_SCHEMA).unlink()
    told = flask(shop, "backup", "verify")
    assert told.exit_code == 3
    assert told.stdout == f"{name}: {layout.POSTGRES_SCHEMA}: missing\n"


def test_prune_asks_first(shop: Flask, status: Tree, backups: BackupStore) -> None:
    name = run().backup
    told = flask(shop, "backup", "prune", "--keep", "0")
    assert told.exit_code == 2
    assert f"{name} (" in told.stderr
    assert len(backups.list()) == 1
    assert flask(shop, "backup", "prune", "--keep", "0", "--yes").exit_code == 0
    assert backups.list() == ()


def test_a_dry_run_says_that_a_backup_would_be_too_large(
    shop: Flask, status: Tree, filled: None
) -> None:
    shop.config["DUALMIGRATE_BACKUP_MAX_BYTES"] = 1000
    plan = upgrade(dry_run=True)
    assert isinstance(plan, PlanResult)
    assert plan.backup_refused is not None
    assert plan.backup_refused.startswith("DUALMIGRATE_BACKUP_MAX_BYTES is 1000 B")
    wanted = upgrade(dry_run=True, backup="touched")
    assert isinstance(wanted, PlanResult)
    assert wanted.backup_refused is None
