"""An app without MongoDB, on a dialect that commits each DDL statement by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import DualMigrate, PartialFailure, init, upgrade


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
