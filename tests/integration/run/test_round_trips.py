"""How often a run waits for MongoDB: the numbers are exact, and do not grow unseen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.support.round_trips import Trips, counted

_APP = """
import json, sys
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate, init, upgrade

postgres, mongo_url, root, target = sys.argv[1:]
app, db, mongo = Flask("shop"), SQLAlchemy(), PyMongo()
app.config["SQLALCHEMY_DATABASE_URI"] = postgres
app.config["DUALMIGRATE_BACKUP"] = "never"
app.config["DUALMIGRATE_LOCK_LEASE_S"] = 600  # not renewed meanwhile
db.init_app(app)
mongo.init_app(app, mongo_url)
DualMigrate(app, db, mongo, root)
with app.app_context():
    init() if target == "init" else upgrade(revision=target)
"""

_POSTGRES = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = {rev!r}, {parent!r}
branch_labels = depends_on = None


def upgrade():
    op.create_table("{table}", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("{table}", sa.Column("name", sa.String(50)))


def downgrade():
    op.drop_table("{table}")
"""

_MONGO = """
revision, down_revision = {rev!r}, {parent!r}
branch_labels = depends_on = None


def upgrade(op):
    op.create_index("item", [("{table}", 1)], name="ix_{table}")
    op.update("item", {{}}, {{"$set": {{"{table}": 1}}}}{more})


def downgrade(op):
    pass
"""

_BY_THE_CLOCK = ("replSetGetStatus",)
"""Asked once in a while: how far behind the secondaries are."""

_REVISIONS = 8
_SMALL = [
    "update",  # the attempt runs; the one before it is done
    "listIndexes",
    "update",  # the index begins
    "createIndexes",
    "update",  # it is done; the update begins
    "aggregate",  # the batch, in a transaction: find, write, record, commit
    "update",
    "findAndModify",
    "commitTransaction",
    "aggregate",  # what was inserted meanwhile
    "update",  # it is done
    "update",  # the attempt is done
]
_WITH_UNDO = [
    *_SMALL[:7],
    "find",  # the state after the write
    "insert",  # what was written
    *_SMALL[7:],
]


class Shop:
    """An app on both databases with a tree of small revisions, behind proxies."""

    def __init__(self, trips: Trips, root: Path, *, undo: bool) -> None:
        self.trips = trips
        self._root = root
        self.run("init")
        for number in range(_REVISIONS):
            parent = f"r{number - 1:03}" if number else None
            more = f', undo={{"$unset": {{"t{number}": 1}}}}' if undo else ""
            names = {"rev": f"r{number:03}", "parent": parent, "table": f"t{number}"}
            for side, source in {"postgres": _POSTGRES, "mongo": _MONGO}.items():
                path = root / side / "versions" / f"r{number:03}_small.py"
                path.write_text(source.format(**names, more=more), encoding="utf-8")
        self.run("init")

    def run(self, target: str) -> tuple[list[str], list[str]]:
        """Run a process of its own; return what it asked PostgreSQL and MongoDB."""
        self.trips.clear()
        urls = self.trips.postgres.url, self.trips.mongo.url
        command = [sys.executable, "-c", _APP, *urls, str(self._root), target]
        subprocess.run(command, check=True, timeout=300, capture_output=True)
        mongo = [name for name in self.trips.mongo.names if name not in _BY_THE_CLOCK]
        return list(self.trips.postgres.names), mongo


@pytest.fixture(params=[False, True], ids=["no-undo", "undo"])
def has_undo(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def shop(
    postgres_url: str, mongo_url: str, tmp_path: Path, *, has_undo: bool
) -> Iterator[Shop]:
    with MongoClient[dict[str, Any]](mongo_url) as client:
        documents = [{"_id": number} for number in range(100)]
        client.get_default_database()["item"].insert_many(documents)
    with counted(postgres_url, mongo_url) as trips:
        yield Shop(trips, tmp_path / "migrations", undo=has_undo)


def test_a_small_revision_waits_twelve_times_for_mongodb(
    shop: Shop, *, has_undo: bool
) -> None:
    shop.run("r000")
    _, one = shop.run("r001")
    _, five = shop.run("r006")
    each = _WITH_UNDO if has_undo else _SMALL
    assert (len(five) - len(one)) / 4 == len(each), json.dumps([one, five], indent=1)
    begins = [at for at, name in enumerate(five) if name == "listIndexes"]
    assert five[begins[3] - 1 : begins[4] - 1] == each
    assert len(one) - len(each) <= 15 + _FIRST_USE, one


_FIRST_USE = 3
"""Questions about a collection that a run uses for the first time."""
