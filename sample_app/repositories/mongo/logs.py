"""The activity log on MongoDB."""

from __future__ import annotations

from ...entities import Log, Page, Slice
from .store import Store


class MongoLogs:
    """See `LogRepository`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, item_id: str | None = None, part: Slice | None = None) -> Page[Log]:
        query = {} if item_id is None else {"item_id": item_id}
        return self._store.page(Log, self._store.logs, query, part)
