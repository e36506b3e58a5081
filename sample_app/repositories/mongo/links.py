"""Favorites and related items on MongoDB."""

from __future__ import annotations

from collections.abc import Callable

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from ...entities import Action, Item, Log, utc_now
from ..base import in_order
from .documents import Document
from .store import Store


class MongoLinks:
    """See `LinkRepository`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def favorite(self, item_id: str, user_id: str, *, by: str | None = None) -> bool:
        store = self._store
        link = {"user_id": user_id, "item_id": item_id}
        more = {"created_at": utc_now()}

        def change(session: ClientSession) -> bool:
            store.demand("user", store.users, user_id, session)
            return put(store.favorites, link, more, session)

        entry = Log(Action.FAVORITED, item_id, by, user_id)
        return self._change(item_id, change, entry, by)

    def unfavorite(self, item_id: str, user_id: str, *, by: str | None = None) -> bool:
        link = {"user_id": user_id, "item_id": item_id}

        def change(session: ClientSession) -> bool:
            return take(self._store.favorites, link, session)

        entry = Log(Action.UNFAVORITED, item_id, by, user_id)
        return self._change(item_id, change, entry, by)

    def favorites(self, user_id: str) -> list[Item]:
        store = self._store
        store.demand("user", store.users, user_id)
        liked = store.favorites.distinct("item_id", {"user_id": user_id})
        return store.newest(Item, store.items, {"_id": {"$in": liked}})

    def relate(self, item_id: str, other_id: str, *, by: str | None = None) -> bool:
        store = self._store
        first, second = in_order(item_id, other_id)
        pair = {"item_id": first, "related_id": second}

        def change(session: ClientSession) -> bool:
            store.demand("item", store.items, other_id, session)
            return put(store.related_items, pair, {}, session)

        entry = Log(Action.RELATED, item_id, by, other_id)
        return self._change(item_id, change, entry, by)

    def unrelate(self, item_id: str, other_id: str, *, by: str | None = None) -> bool:
        first, second = in_order(item_id, other_id)
        pair = {"item_id": first, "related_id": second}

        def change(session: ClientSession) -> bool:
            return take(self._store.related_items, pair, session)

        entry = Log(Action.UNRELATED, item_id, by, other_id)
        return self._change(item_id, change, entry, by)

    def related(self, item_id: str) -> list[Item]:
        store = self._store
        store.demand("item", store.items, item_id)
        pairs = store.related_items
        after = pairs.distinct("related_id", {"item_id": item_id})
        before = pairs.distinct("item_id", {"related_id": item_id})
        return store.newest(Item, store.items, {"_id": {"$in": [*after, *before]}})

    def _change(
        self,
        item_id: str,
        change: Callable[[ClientSession], bool],
        entry: Log,
        by: str | None,
    ) -> bool:
        store = self._store

        def work(session: ClientSession) -> bool:
            store.demand("item", store.items, item_id, session)
            changed = change(session)
            if changed:
                store.log(entry, session)
            return changed

        return store.transact(work, by=by)


def put(
    links: Collection[Document], link: Document, more: Document, session: ClientSession
) -> bool:
    """Store a link, `more` beside it; say whether it is new."""
    new = {"$setOnInsert": {**link, **more}}
    result = links.update_one(link, new, upsert=True, session=session)
    return result.upserted_id is not None


def take(links: Collection[Document], link: Document, session: ClientSession) -> bool:
    """Remove a link; say whether it was there."""
    return links.delete_one(link, session=session).deleted_count > 0
