"""An app for gunicorn: it upgrades as it starts, and says who answers and what is.

The environment names its databases (DATABASE_URL, MONGO_URI), its migrations directory
(MIGRATIONS) and how it starts (AUTO_UPGRADE).
"""

from __future__ import annotations

import os
import time
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy

from flask_dualmigrate import DualMigrate

db, mongo, dualmigrate = SQLAlchemy(), PyMongo(), DualMigrate()


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["DUALMIGRATE_BACKUP"] = "never"
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config["MONGO_URI"] = os.environ["MONGO_URI"]
    db.init_app(app)
    mongo.init_app(app)
    said = os.environ["AUTO_UPGRADE"]
    dualmigrate.init_app(
        app,
        db,
        mongo,
        directory=os.environ["MIGRATIONS"],
        auto_upgrade=said if said == "check" else said == "True",
    )
    app.add_url_rule("/", view_func=look)
    return app


def look() -> dict[str, Any]:
    """Use both databases, long enough for the other workers to be asked too."""
    assert mongo.db is not None
    time.sleep(0.05)
    return {
        "pid": os.getpid(),
        "session": db.session.scalar(sa.text("SELECT pg_backend_pid()")),
        "rows": db.session.scalar(sa.text("SELECT count(*) FROM ran")),
        "documents": mongo.db.ran.count_documents({}),
        "calls": mongo.db.calls.count_documents({}),
    }
