"""An app without MongoDB, on a dialect that commits each DDL statement by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import (
    DatabaseUnavailable,
    DualMigrate,
    LockTimeout,
    PartialFailure,
    check,
    init,
    lint,
    revision,
    unlock,
    upgrade,
)
from flask_dualmigrate.postgres.lock.sqlite import SqliteLock
from tests.support.lock_holders import nobody
from tests.support.nursery import Nursery


def test_a_failure_on_sqlite_does_not_claim_that_it_was_undone(tmp_path: Path) -> None:
    app, db = Flask("an_app", root_path=str(tmp_path)), SQLAlchemy()
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/app.db"
    db.init_app(app)
    DualMigrate(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        init()
        script = tmp_path / "migrations" / "postgres" / "versions" / "r1.py"
        script.write_text(
            "from alembic import op\nrevision, down_revision = 'r1', None\n"
            "def upgrade():\n    op.execute('CREATE TABLE t (a)')\n    1 / 0\n"
        )
        init()
        with pytest.raises(PartialFailure, match="sqlite may have kept") as caught:
            upgrade()
        assert "It was undone" not in str(caught.value)
        db.engine.dispose()


SLOW = """
import time
from alembic import op
revision, down_revision = "r1", None


def upgrade():
    op.execute("CREATE TABLE t (a)")
    time.sleep(1)
    op.execute("INSERT INTO t VALUES (1)")
"""
WORKER = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_dualmigrate import DualMigrate
folder, = sys.argv[1:]
app, db = Flask("an_app", root_path=folder), SQLAlchemy()
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder}/app.db"
db.init_app(app)
DualMigrate(app, db, directory=f"{folder}/migrations", auto_upgrade=True)
"""


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[SQLAlchemy]:
    """An app on SQLite whose revision takes a second, and shows its half meanwhile."""
    app, db = Flask("an_app", root_path=str(tmp_path)), SQLAlchemy()
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/app.db"
    app.config["DUALMIGRATE_LOCK_TIMEOUT_S"] = 0
    db.init_app(app)
    DualMigrate(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        init()
        (tmp_path / "migrations" / "postgres" / "versions" / "r1.py").write_text(SLOW)
        init()
        yield db
        db.engine.dispose()


def test_workers_on_sqlite_run_each_revision_once(
    nursery: Nursery, lite: SQLAlchemy, tmp_path: Path
) -> None:
    words = [*nursery.python(), "-c", WORKER, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ends = [
        (worker.communicate(timeout=60)[1], worker.returncode) for worker in workers
    ]
    assert [code for _, code in ends] == [0, 0, 0, 0], ends
    assert lite.session.scalar(sa.text("SELECT count(*) FROM t")) == 1


def test_a_lock_on_sqlite_is_waited_for_told_and_freed_by_nobody_else(
    lite: SQLAlchemy, tmp_path: Path
) -> None:
    held = SqliteLock(lite.engine, keep_going=lambda: None)
    with held.held(timeout_s=0, on_wait=nobody):
        with pytest.raises(LockTimeout, match="the lock on SQLite"):
            upgrade()
        with pytest.raises(DatabaseUnavailable, match="ends only when its process"):
            unlock(force=True)
        (side,) = unlock().sides
        assert (side.outcome, str(side.holder)) == ("held", "another process")
    assert [side.outcome for side in unlock().sides] == ["free"]
    upgrade()


def test_a_database_in_memory_has_no_lock() -> None:
    lock = SqliteLock(sa.create_engine("sqlite://"), keep_going=lambda: None)
    with (
        lock.held(timeout_s=0, on_wait=nobody),
        lock.held(timeout_s=0, on_wait=nobody),
    ):
        assert lock.holder() is None


def test_sqlite_is_altered_in_batches_and_is_clean_after_them(tmp_path: Path) -> None:
    """A batch words a default otherwise than the models do: it is not compared."""
    app = Flask("shop", root_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/app.db"
    app.config["DUALMIGRATE_BACKUP"] = "never"
    db = SQLAlchemy(app)
    book = sa.Table("book", db.metadata, sa.Column("id", sa.Integer, primary_key=True))
    DualMigrate(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        init()
        revision(message="book", autogenerate=True)
        upgrade()
        isbn = sa.Column("isbn", sa.String(13), server_default="", nullable=False)
        book.append_column(isbn)
        sa.UniqueConstraint(isbn, name="uq_book_isbn")
        revision(message="isbn", autogenerate=True)
        assert not [each for each in lint().findings if "PostgreSQL" in each.danger]
        upgrade()
        assert check().ok
        db.engine.dispose()
    (script,) = (tmp_path / "migrations").rglob("*_isbn.py")
    assert 'op.batch_alter_table("book", schema=None)' in script.read_text("utf-8")
