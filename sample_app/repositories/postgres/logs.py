"""The activity log on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import select

from ... import models
from ...entities import Log, Page, Slice
from .store import Store, table_of


class PostgresLogs:
    """See `LogRepository`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, item_id: str | None = None, part: Slice | None = None) -> Page[Log]:
        table = table_of(models.Log)
        query = select(table).order_by(table.c.timestamp.desc(), table.c.id.desc())
        if item_id is not None:
            query = query.where(table.c.item_id == item_id)
        return self._store.page(Log, query, part)
