"""The repositories on PostgreSQL, through the app's own `db`."""

from __future__ import annotations

from flask_sqlalchemy import SQLAlchemy

from ..base import Repositories
from .catalog import PostgresCatalog
from .items import PostgresItems
from .links import PostgresLinks
from .logs import PostgresLogs
from .store import Store


def make_repositories(db: SQLAlchemy) -> Repositories:
    """Make all of them on one store, so that they share a session."""
    store = Store(db.session)
    return Repositories(
        catalog=PostgresCatalog(store),
        items=PostgresItems(store),
        links=PostgresLinks(store),
        logs=PostgresLogs(store),
    )
