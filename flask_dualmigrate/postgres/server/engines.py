"""The engine of a run: the app's own, or a direct one; and the end of its pool."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from ...errors import DatabaseUnavailable
from .direct import direct_engine


def engine_of(db: SQLAlchemy | None, direct_url: Any) -> sa.Engine:
    """Return the app's own engine, or one for a URL if the app gives one.

    Raises DatabaseUnavailable if the app's SQLAlchemy object was not initialised.
    """
    if direct_url is not None:
        return direct_engine(direct_url)
    assert db is not None
    try:
        return db.engine
    except (RuntimeError, KeyError) as error:
        raise DatabaseUnavailable(
            "The app uses PostgreSQL, and its SQLAlchemy object has no engine",
            hint="Call db.init_app(app) with a SQLALCHEMY_DATABASE_URI.",
        ) from error


def close_pool(engine: sa.Engine) -> None:
    """Close pooled connections, unless one of them is the database itself.

    This is the case for SQLite in memory.
    """
    if not isinstance(engine.pool, StaticPool | SingletonThreadPool):
        engine.dispose()
