"""A backup before a run: what is in it, and what it is refused for."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
import sqlalchemy as sa
from bson import json_util
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init, upgrade
from flask_dualmigrate.backups import BackupStore, Manifest, layout
from flask_dualmigrate.embedded.wheels import postgres_programs
from flask_dualmigrate.results import RunResult

from .conftest import MakeApp, Tree

SEEDED = """
op.create_table("items", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.Text))
op.create_table("logs", sa.Column("id", sa.Integer, primary_key=True))
"""


@pytest.fixture
def backups(tmp_path: Path) -> BackupStore:
    return BackupStore(tmp_path / "backups")


@pytest.fixture
def shop(make_app: MakeApp, tmp_path: Path, backups: BackupStore) -> Iterator[Flask]:
    """An app that backs up; r1 is applied, and both sides have some items."""
    app = make_app(
        config={
            "DUALMIGRATE_BACKUP": "touched",
            "DUALMIGRATE_BACKUP_DIR": str(backups.root),
        }
    )
    with app.app_context():
        init()
        Tree(tmp_path / "migrations").add(
            "r1", postgres=SEEDED, mongo='op.create_collection("item")'
        )
        init()
        result = upgrade()
        assert isinstance(result, RunResult)
        assert result.backup is None
        yield app


@pytest.fixture
def shop_tree(shop: Flask, tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "migrations")
    tree.ids.append("r1")
    return tree


@pytest.fixture
def filled(
    shop: Flask, engine: sa.Engine, mongo_db: Database[Any]
) -> tuple[sa.Engine, Database[Any]]:
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO items SELECT n, 'n' || n FROM generate_series(1, 9) n")
        )
    mongo_db.item.insert_many([{"_id": n, "name": f"n{n}"} for n in range(7)])
    mongo_db.item.create_index("name", unique=True)
    return engine, mongo_db


def run(action: Callable[..., Any] = upgrade, **options: Any) -> RunResult:
    init()
    result = action(**options)
    assert isinstance(result, RunResult)
    return result


def manifest_of(backups: BackupStore, name: str | None) -> Manifest:
    assert name is not None
    with backups.find(name) as (folder, manifest):
        folder.require_whole(manifest)
        return manifest


def documents(backups: BackupStore, name: str, db: str, coll: str) -> list[Any]:
    data = (backups.root / name / layout.mongo_data(db, coll)).read_bytes()
    return bson.decode_all(gzip.decompress(data))


def metadata(backups: BackupStore, name: str, db: str, coll: str) -> Any:
    data = (backups.root / name / layout.mongo_metadata(db, coll)).read_bytes()
    return json_util.loads(gzip.decompress(data))


def rows_of(backups: BackupStore, name: str, *more: str) -> str:
    """Return what pg_restore makes of the dump, as a script."""
    ran = subprocess.run(
        [
            str(postgres_programs() / "pg_restore"),
            "--file=-",
            *more,
            str(backups.root / name / layout.POSTGRES_DUMP),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout


def test_an_upgrade_backs_up_what_it_touches_on_both_sides(
    shop_tree: Tree, filled: Any, backups: BackupStore
) -> None:
    _, db = filled
    shop_tree.add(
        "r2",
        postgres='op.add_column("items", sa.Column("status", sa.Text))',
        mongo='op.add_field("item", "status", default="new")',
    )
    result = run()
    manifest = manifest_of(backups, result.backup)
    assert manifest.plan == ("r2",)
    assert manifest.postgres is not None
    tables = {table.name: table.rows for table in manifest.postgres.tables or ()}
    assert tables["items"] == 9
    assert "logs" not in tables
    assert {"alembic_version", "dualmigrate_journal"} <= tables.keys()
    script = rows_of(backups, manifest.name)
    assert "9\tn9" in script
    assert "items (id, name)" in script
    assert documents(backups, manifest.name, db.name, "item") == [
        {"_id": n, "name": f"n{n}"} for n in range(7)
    ]
    found = metadata(backups, manifest.name, db.name, "item")
    assert [index["name"] for index in found["indexes"]] == ["_id_", "name_1"]
    assert (
        "CREATE TABLE public.logs"
        in (backups.root / manifest.name / layout.POSTGRES_SCHEMA).read_text()
    )
