"""A separate engine that bypasses a pooling proxy: DUALMIGRATE_POSTGRES_URI."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from ...errors import UsageError

KEY = "DUALMIGRATE_POSTGRES_URI"


def direct_engine(url: Any) -> Engine:
    """Return an engine that keeps no connection.

    Raises UsageError in our own words for an invalid URL: SQLAlchemy's message may
    contain a part of its password.
    """
    try:
        parsed = sa.make_url(url)
    except (SQLAlchemyError, ValueError, TypeError):
        raise UsageError(
            f"{KEY} is not a database URL",
            hint="It must look like postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME; "
            "in a password, write characters such as @ and % as %40 and %25.",
        ) from None
    try:
        return sa.create_engine(parsed, poolclass=sa.pool.NullPool)
    except (NoSuchModuleError, ImportError) as error:
        raise UsageError(
            f"{KEY} names a driver that is not installed: {parsed.drivername}",
            hint="Install it, or use postgresql+psycopg.",
        ) from error
