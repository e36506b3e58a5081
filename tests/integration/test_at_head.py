"""The look at each start of an app: it is sure, or leaves it to the whole look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from pymongo.database import Database

from flask_dualmigrate.at_head import is_plainly_at_head
from flask_dualmigrate.extension import environment_of
from tests.integration.conftest import MakeApp, Tree

_ROW = """INSERT INTO dualmigrate_journal
    (revision, down_revision, description, direction, status, stamped)
    VALUES ('{}', '', '', '{}', '{}', false)"""
FAULTS_OF_POSTGRES = {
    "a row is missing": "DELETE FROM alembic_version",
    "a row is of an older revision": "UPDATE alembic_version SET version_num = 'r1'",
    "a row is unknown": "UPDATE alembic_version SET version_num = 'r9'",
    "a row is one too many": "INSERT INTO alembic_version VALUES ('r9')",
    "the version table is gone": "DROP TABLE alembic_version",
    "the journal is gone": "DROP TABLE dualmigrate_journal",
    "what it says of itself is gone": "DROP TABLE dualmigrate_meta",
    "it belongs to another": "UPDATE dualmigrate_meta SET value = 'x'",
    "an attempt runs": _ROW.format("r2", "upgrade", "running"),
    "a status is not ours": _ROW.format("r2", "upgrade", "soon"),
    "a direction is not ours": _ROW.format("r2", "sideways", "applied"),
}
FAULTS_OF_MONGODB: dict[str, tuple[str, dict[str, Any], Any]] = {
    "an entry is missing": ("_migrations", {"_id": "r2"}, None),
    "an attempt runs": ("_migrations", {"_id": "r2"}, {"status": "running"}),
    "one failed": ("_migrations", {"_id": "r2"}, {"status": "failed"}),
    "one failed in part": ("_migrations", {"_id": "r2"}, {"partial": True}),
    "one awaits its partner": ("_migrations", {"_id": "r2"}, {"awaits_partner": True}),
    "one was undone": ("_migrations", {"_id": "r2"}, {"status": "rolled_back"}),
    "one is being undone": ("_migrations", {"_id": "r2"}, {"direction": "downgrade"}),
    "another branch was here": ("_migrations", {"_id": "r9"}, {"status": "applied"}),
    "another branch failed": ("_migrations", {"_id": "r9"}, {"status": "failed"}),
    "a status is not ours": ("_migrations", {"_id": "r2"}, {"status": "soon"}),
    "a document is not ours": ("_migrations", {"_id": 9}, {"status": "applied"}),
    "it belongs to another": ("_migrations_meta", {"_id": "pair"}, {"pair_id": "x"}),
    "a restore was begun": ("_migrations_meta", {"_id": "restore"}, {"mark": "x"}),
}
FAULTS_OF_THE_LOCK_FILE: dict[str, Callable[[list[str]], list[str]]] = {
    "a revision is new": lambda lines: [*lines, "r3 r2 r3_.py"],
    "a revision is gone": lambda lines: lines[:-1],
    "there is none": lambda lines: [],
    "a parent is unknown": lambda lines: [lines[0], "r2 r9 r2_.py"],
    "they form a circle": lambda lines: ["r1 r2 r1_.py", "r2 r1 r2_.py"],
    "one comes twice": lambda lines: [*lines, lines[-1]],
}


@pytest.fixture
def at_head(two: Tree, make_app: MakeApp) -> Flask:
    """An app whose databases are at head."""
    app = make_app(auto_upgrade=True)
    assert _is_plain(app)
    return app


def _is_plain(app: Flask, *, apart: bool = False) -> bool:
    with app.app_context():
        env = environment_of()
        return is_plainly_at_head(env.db, env.mongo, env.config, apart=apart)


def test_where_it_is_sure_the_whole_look_finds_the_same(at_head: Flask) -> None:
    for apart in (False, True):
        assert _is_plain(at_head, apart=apart)
    with at_head.app_context():
        run = environment_of().run
        assert run.at_head()
        assert run.readiness().ready


@pytest.mark.parametrize("active", ["postgres", "mongo"])
def test_it_is_sure_of_a_side_that_is_used_alone(
    active: str, two: Tree, make_app: MakeApp
) -> None:
    assert _is_plain(make_app(active=active, auto_upgrade=True))


@pytest.mark.parametrize("fault", FAULTS_OF_POSTGRES)
def test_it_is_not_sure_of_a_postgresql_where(
    fault: str, at_head: Flask, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(FAULTS_OF_POSTGRES[fault]))

    assert not _is_plain(at_head)


@pytest.mark.parametrize("fault", FAULTS_OF_MONGODB)
def test_it_is_not_sure_of_a_mongodb_where(
    fault: str, at_head: Flask, mongo_db: Database[Any]
) -> None:
    collection, which, values = FAULTS_OF_MONGODB[fault]
    if values is None:
        mongo_db[collection].delete_one(which)
    else:
        mongo_db[collection].update_one(which, {"$set": values}, upsert=True)

    assert not _is_plain(at_head)


def test_a_revision_that_was_undone_and_deleted_leaves_it_sure(
    at_head: Flask, mongo_db: Database[Any]
) -> None:
    gone = {"_id": "r9", "status": "rolled_back", "direction": "downgrade"}
    mongo_db["_migrations"].insert_one(gone)

    assert _is_plain(at_head)
    with at_head.app_context():
        assert environment_of().run.at_head()


@pytest.mark.parametrize("fault", FAULTS_OF_THE_LOCK_FILE)
def test_it_is_not_sure_of_a_lock_file_where(
    fault: str, at_head: Flask, two: Tree
) -> None:
    path = two.root / "revisions.lock"
    lines = [line for line in path.read_text().splitlines() if line[0] != "#"]
    path.write_text("\n".join(FAULTS_OF_THE_LOCK_FILE[fault](lines)))

    assert not _is_plain(at_head)


def test_a_transaction_that_the_app_sets_up_is_kept(
    at_head: Flask, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA tenant"))
        for name in ("alembic_version", "dualmigrate_journal", "dualmigrate_meta"):
            connection.execute(sa.text(f"ALTER TABLE {name} SET SCHEMA tenant"))
    assert not _is_plain(at_head)
    with at_head.app_context():
        own = at_head.extensions["sqlalchemy"].engine

    @sa.event.listens_for(own, "begin")
    def look_there(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL search_path TO tenant")

    assert _is_plain(at_head)


_START = """
import json, sys
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate

app, db, mongo = Flask(__name__), SQLAlchemy(), PyMongo()
app.config["SQLALCHEMY_DATABASE_URI"], app.config["MONGO_URI"] = sys.argv[1:3]
db.init_app(app)
mongo.init_app(app)
DualMigrate(app, db, mongo, directory=sys.argv[3], auto_upgrade=True)
print(json.dumps(sorted(sys.modules)))
"""
IMPORTED = {
    *("at_head", "cli", "config", "errors", "extension", "revisions", "text"),
    *("mongo", "mongo.journal", "mongo.journal.glance", "mongo.journal.names"),
    *("mongo.server", "mongo.server.clients", "mongo.server.errors"),
    *("postgres", "postgres.journal", "postgres.journal.glance"),
    *("postgres.journal.names", "postgres.server", "postgres.server.direct"),
    *("postgres.server.engines", "postgres.server.errors"),
    *("postgres.server.pooled_questions", "runtime", "runtime.time_limits"),
    *("tree", "tree.lockfile", "tree.regular_file"),
}


def test_a_start_at_head_imports_what_it_looks_with_and_no_more(
    at_head: Flask, two: Tree, postgres_url: str, mongo_url: str
) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _START, postgres_url, mongo_url, str(two.root)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    found = set(json.loads(done.stdout))

    ours = {name for name in found if name.startswith("flask_dualmigrate.")}
    assert ours == {f"flask_dualmigrate.{name}" for name in IMPORTED}
    assert found.isdisjoint({"alembic", "filelock", "psutil", "tenacity", "mako"})
