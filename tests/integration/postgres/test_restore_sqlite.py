"""Restoring an app whose SQL side is SQLite, and that has no MongoDB."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import (
    DualMigrate,
    IntegrityError,
    init,
    restore,
    status,
    upgrade,
)

SCRIPT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision = {revision!r}, {parent!r}
def upgrade():
    {up}
"""


def test_the_file_is_as_it_was(tmp_path: Path) -> None:
    app, db = Flask("an_app", root_path=str(tmp_path)), SQLAlchemy()
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/app.db"
    app.config["DUALMIGRATE_BACKUP_DIR"] = str(tmp_path / "backups")
    db.init_app(app)
    DualMigrate(app, db, directory=str(tmp_path / "migrations"))
    with app.app_context():
        init()
        _add(tmp_path, "r1", None, 'op.create_table("t", sa.Column("a", sa.Integer))')
        upgrade()
        with db.engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO t VALUES (1), (2)"))
        _add(tmp_path, "r2", "r1", 'op.add_column("t", sa.Column("b", sa.Integer))')
        upgrade()
        with db.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM t"))

        result = restore("latest")

        with db.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT * FROM t")).all()
        assert rows == [(1,), (2,)]
        assert [(r.name, r.now, r.then) for r in result.replaced] == [("t", 0, 2)]
        states = [[s.state for s in row.sides.values()] for row in status().rows]
        assert states == [["pending"], ["applied"]]
        upgrade()

        # Backups of one second have names in no order: so all of them.
        for file in (tmp_path / "backups").glob("*/postgres/database.sqlite"):
            file.write_bytes(b"no database at all")
        with pytest.raises(IntegrityError, match="is damaged"):
            restore("latest")
        db.engine.dispose()


def _add(root: Path, revision: str, parent: str | None, up: str) -> None:
    script = root / "migrations" / "postgres" / "versions" / f"{revision}.py"
    script.write_text(SCRIPT.format(revision=revision, parent=parent, up=up))
    init()
