"""An SQL-only app on SQLite: its file is copied before a run, and restored."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import (
    DualMigrate,
    IntegrityError,
    downgrade,
    init,
    restore,
    status,
    upgrade,
)
from flask_dualmigrate.backups import BackupStore, layout
from flask_dualmigrate.results import RunResult

SCRIPT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = {id!r}, {parent!r}


def upgrade():
    {up}


def downgrade():
    pass
"""
UPS = {
    "r1": "op.create_table('items', sa.Column('id', sa.Integer))",
    "r2": "op.add_column('items', sa.Column('x', sa.Integer))",
}


def make(tmp_path: Path, uri: str) -> Flask:
    app = Flask("an_app", root_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = uri
    app.config["DUALMIGRATE_BACKUP_DIR"] = str(tmp_path / "backups")
    db = SQLAlchemy(app)
    DualMigrate(app, db, directory=str(tmp_path / "migrations"))
    return app


def write(tmp_path: Path, revision_id: str, parent: str | None = None) -> None:
    script = SCRIPT.format(id=revision_id, parent=parent, up=UPS[revision_id])
    folder = tmp_path / "migrations" / "postgres" / "versions"
    (folder / f"{revision_id}.py").write_text(script)
    init()


def test_a_file_of_sqlite_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    store = BackupStore(tmp_path / "backups")
    with make(tmp_path, f"sqlite:///{tmp_path}/app.db").app_context():
        init()
        write(tmp_path, "r1")
        first = upgrade()
        assert isinstance(first, RunResult)
        assert first.backup is None
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute("INSERT INTO items VALUES (7)")
        connection.close()
        write(tmp_path, "r2", "r1")
        second = upgrade()
    assert isinstance(second, RunResult)
    assert second.backup is not None
    with store.find(second.backup) as (folder, manifest):
        folder.require_whole(manifest)
        copy = folder.path / layout.SQLITE_FILE
    connection = sqlite3.connect(copy)
    assert connection.execute("SELECT * FROM items").fetchall() == [(7,)]
    connection.close()


def test_a_database_in_memory_is_told_to_have_no_backup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = make(tmp_path, "sqlite://")
    with app.app_context():
        init()
        write(tmp_path, "r1")
        told = app.test_cli_runner().invoke(args=["db-migrate", "upgrade"])
        assert told.exit_code == 0, told.output
        assert "No backup of a database in memory: it has no file" in told.stderr
        downgrade(revision="base")


def test_the_file_is_restored_as_it_was(tmp_path: Path) -> None:
    app = make(tmp_path, f"sqlite:///{tmp_path}/app.db")
    db = app.extensions["sqlalchemy"]

    def run(sql: str) -> Any:
        return db.session.execute(sa.text(sql))

    with app.app_context():
        init()
        write(tmp_path, "r1")
        upgrade()
        run("INSERT INTO items VALUES (1), (2)")
        db.session.commit()
        write(tmp_path, "r2", "r1")
        upgrade()
        run("DELETE FROM items")
        db.session.commit()

        result = restore("latest")

        assert run("SELECT * FROM items").all() == [(1,), (2,)]
        db.session.remove()
        assert [(r.name, r.now, r.then) for r in result.replaced] == [("items", 0, 2)]
        states = [[s.state for s in row.sides.values()] for row in status().rows]
        assert states == [["pending"], ["applied"]]
        upgrade()

        # Backups of one second have names in no order: so all of them.
        for file in (tmp_path / "backups").glob("*/postgres/database.sqlite"):
            file.write_bytes(b"no database at all")
        with pytest.raises(IntegrityError, match="is damaged"):
            restore("latest")
        db.engine.dispose()
