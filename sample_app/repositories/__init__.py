"""The repositories: one interface, PostgreSQL or MongoDB behind it."""

from __future__ import annotations

from .. import extensions
from ..config import DbType
from .base import (
    CatalogRepository,
    ItemFilter,
    ItemRepository,
    LinkRepository,
    LogRepository,
    Repositories,
)

__all__ = [
    "CatalogRepository",
    "ItemFilter",
    "ItemRepository",
    "LinkRepository",
    "LogRepository",
    "Repositories",
    "repositories_for",
]


def repositories_for(db_type: DbType) -> Repositories:
    """Return the repositories of the database in use; "both" keeps to PostgreSQL.

    Only this one's module is imported: the other database's driver is never touched.
    """
    if db_type == "mongo":
        from .mongo import make_repositories as make_mongo_repositories

        return make_mongo_repositories(extensions.mongo)

    from .postgres import make_repositories as make_postgres_repositories

    return make_postgres_repositories(extensions.db)
