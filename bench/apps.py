"""Flask apps on the databases of a benchmark, as a user's factory makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_pymongo import PyMongo
from flask_sqlalchemy import SQLAlchemy
from pymongo.database import Database

from flask_dualmigrate import DualMigrate


@dataclass(frozen=True)
class Urls:
    """The databases of an app; None for a side that it does not use."""

    postgres: str | None = None
    mongo: str | None = None

    @property
    def active(self) -> str:
        """Return what `active=` says for them."""
        if self.postgres is None:
            return "mongo"
        return "postgres" if self.mongo is None else "both"


@dataclass(frozen=True)
class Parts:
    """An app, its extensions initialised as far as they have a server."""

    app: Flask
    db: SQLAlchemy
    mongo: PyMongo

    @property
    def mongo_db(self) -> Database[dict[str, Any]]:
        assert self.mongo.db is not None
        database: Database[dict[str, Any]] = self.mongo.db
        return database


@contextmanager
def an_app(urls: Urls, *, metadata: sa.MetaData | None = None) -> Iterator[Parts]:
    """Make an app that has not connected yet, its context pushed.

    A side without a server is not initialised. At the end all is closed.
    """
    parts = Parts(Flask("bench"), SQLAlchemy(metadata=metadata), PyMongo())
    app, db, mongo = parts.app, parts.db, parts.mongo
    app.config["DUALMIGRATE_BACKUP"] = "never"
    if urls.postgres is not None:
        app.config["SQLALCHEMY_DATABASE_URI"] = urls.postgres
        db.init_app(app)
    if urls.mongo is not None:
        mongo.init_app(app, urls.mongo)
    with app.app_context():
        try:
            yield parts
        finally:
            if urls.postgres is not None:
                db.engine.dispose()
            if mongo.cx is not None:
                mongo.cx.close()


@contextmanager
def a_migrated_app(
    root: Path, urls: Urls, *, metadata: sa.MetaData | None = None
) -> Iterator[Parts]:
    """The same, with DualMigrate on the migrations directory `root`."""
    with an_app(urls, metadata=metadata) as parts:
        add_dualmigrate(parts, root, active=urls.active)
        yield parts


def add_dualmigrate(parts: Parts, root: Path, **settings: Any) -> None:
    """Register DualMigrate with an app."""
    DualMigrate(parts.app, parts.db, parts.mongo, str(root), **settings)
