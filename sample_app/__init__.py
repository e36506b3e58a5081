"""An item-management app that runs on PostgreSQL or on MongoDB: `DB_TYPE` says which.

DB_TYPE=postgres flask --app sample_app run
DB_TYPE=both flask --app sample_app db-migrate upgrade
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from flask_dualmigrate.embedded import configure

from . import api, models
from .config import (
    COLLECTIONS,
    FIELDS,
    MIGRATIONS,
    get_auto_upgrade,
    get_db_type,
    instance_path,
)
from .extensions import db, dualmigrate, mongo
from .repositories import repositories_for

__all__ = ["create_app", "db", "dualmigrate", "models", "mongo"]

MAX_REQUEST_BYTES = 1_000_000  # a document holds 16 MB at most


def create_app(
    config: Mapping[str, Any] | None = None,
    *,
    auto_upgrade: bool | str | None = None,
) -> Flask:
    """Make the app, with its database at head unless auto_upgrade says otherwise.

    auto_upgrade: as DualMigrate takes it; None: as the environment says.
    Only the database in use is initialised: the other one need not exist.
    """
    app = Flask(__name__, instance_path=instance_path())
    app.config.from_mapping(MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES)
    app.config.from_prefixed_env()  # FLASK_DUALMIGRATE_BACKUP_DIR, say
    app.config.from_mapping(config)
    db_type = get_db_type()
    configure(app, active=db_type)
    if db_type != "mongo":
        db.init_app(app)
    if db_type != "postgres":
        mongo.init_app(app)
        # Flask-PyMongo's own provider reads {"$date": …} in a request as a date.
        app.json = DefaultJSONProvider(app)
    dualmigrate.init_app(
        app,
        db,
        mongo,
        directory=str(MIGRATIONS),
        active=get_db_type,
        collections=COLLECTIONS,
        fields=FIELDS,
        auto_upgrade=get_auto_upgrade() if auto_upgrade is None else auto_upgrade,
    )
    app.register_blueprint(dualmigrate.health_blueprint)
    api.init_app(app, repositories_for(db_type))
    return app
