"""A run that is killed or stopped while it backs up: nothing is lost or changed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate import init
from flask_dualmigrate.backups import BackupStore
from tests.integration.conftest import Tree
from tests.support.backup_runs import documents, manifest_of, rows_of
from tests.support.crash.world import World, first_difference
from tests.support.flask_processes import FlaskApp
from tests.support.nursery import KILLED, Command, Nursery

UP = ("upgrade", "--yes")
PATIENCE_S = 120.0
POINTS = [
    *("backup.take.before", "backup.folder.before", "backup.folder.after"),
    *("backup.file.begun", "backup.file.done", "backup.manifest.before"),
    *("backup.manifest.partial", "backup.manifest.after", "backup.take.after"),
]


Start = Callable[[str], int | None]


@pytest.fixture
def seeded(shop_tree: Tree, filled: None) -> Tree:
    shop_tree.add(
        "r2",
        postgres='op.add_column("items", sa.Column("x", sa.Integer))',
        mongo='op.add_field("item", "x", default=1)',
    )
    init()
    return shop_tree


@pytest.fixture
def start(
    nursery: Nursery,
    seeded: Tree,
    shop: Flask,
    postgres_url: str,
    mongo_url: str,
    tmp_path: Path,
) -> Start:
    """Return a function that runs the upgrade, and kills it at a point."""
    keys = ("DUALMIGRATE_BACKUP", "DUALMIGRATE_BACKUP_DIR")
    config = {key: shop.config[key] for key in keys}
    config["DUALMIGRATE_LOCK_LEASE_S"] = 1

    def run(crash_at: str = "") -> int | None:
        command = Command(
            UP,
            directory=str(seeded.root),
            postgres=postgres_url,
            mongo=mongo_url,
            output=str(tmp_path / "said"),
            config=config,
            crash_at=crash_at,
            log=str(tmp_path / "points"),
        )
        return nursery.wait(nursery.start(command), timeout_s=PATIENCE_S)

    return run


def test_a_kill_at_each_point_of_a_backup_changes_nothing_and_is_made_up_for(
    start: Start,
    postgres_server: psycopg.Connection,
    postgres_url: str,
    mongo_url: str,
    backups: BackupStore,
    mongo_db: Database[Any],
) -> None:
    world = World(postgres_server, postgres_url, mongo_url)
    before = world.holds()
    whole = 0
    for number, point in enumerate(POINTS, 1):
        # The file in the middle: what both sides write is half there.
        occurrence = 3 if ".file." in point else 1
        assert start(f"{point}#{occurrence}") == KILLED, point
        after = world.holds()
        after["journals"].pop("held")
        expected = {**before, "journals": dict(before["journals"])}
        expected["journals"].pop("held")
        expected["journals"]["names"] = after["journals"]["names"]
        assert first_difference(expected, after) is None, point
        # A folder counts as a backup from its manifest on, and not before.
        whole += point in ("backup.manifest.after", "backup.take.after")
        assert len(backups.list()) == whole, point
        assert number >= whole
    assert start("") == 0
    world.close()
    left = backups.list()
    assert len(left) == whole + 1
    assert all(checked.ok or checked.unfinished for checked in backups.verify())
    manifest = manifest_of(backups, left[-1].name)
    assert "9\tn9" in rows_of(backups, manifest.name)
    assert len(documents(backups, manifest.name, mongo_db.name, "item")) == 7
    old, left_over = backups.prunable(keep=1)
    assert len(old) == whole
    assert left_over
    assert {*left_over, *(each.name for each in left)} == {*backups.names()}


def test_a_signal_ends_a_backup_between_two_batches(
    nursery: Nursery,
    seeded: Tree,
    backups: BackupStore,
    mongo_db: Database[Any],
    postgres_url: str,
    mongo_url: str,
    tmp_path: Path,
) -> None:
    # What cannot be compressed takes its time.
    for n in range(60):
        mongo_db.item.insert_one({"name": f"large {n}", "y": os.urandom(1_000_000)})
    app = FlaskApp(nursery, tmp_path, postgres_url, mongo_url)
    app.configure(
        {
            "DUALMIGRATE_BACKUP": "touched",
            "DUALMIGRATE_BACKUP_DIR": str(backups.root),
        }
    )
    with app.start("db-migrate", "upgrade") as running:
        give_up = time.monotonic() + PATIENCE_S
        while not list(backups.root.rglob("item.bson.gz")):
            assert time.monotonic() < give_up
            time.sleep(0.01)
        running.signal(signal.SIGINT)
        assert running.end() == 130
    assert "Stopped by SIGINT: no revision was completed" in running.err
    assert backups.names() == []
    assert "x" not in (mongo_db.item.find_one({"_id": 1}) or {})
