"""Favorites and related items on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Delete, Insert, delete, or_, select
from sqlalchemy.dialects.postgresql import insert

from ... import models
from ...entities import Action, Item, Log, utc_now
from ..base import in_order
from .items import newest_first
from .store import Store, table_of


class PostgresLinks:
    """See `LinkRepository`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def favorite(self, item_id: str, user_id: str, *, by: str | None = None) -> bool:
        row = {"user_id": user_id, "item_id": item_id, "created_at": utc_now()}
        link = insert(table_of(models.Favorite)).values(row).on_conflict_do_nothing()
        with self._store.transaction(by=by):
            self._store.demand("item", models.Item, item_id)
            self._store.demand("user", models.User, user_id)
            return self._change(link, Log(Action.FAVORITED, item_id, by, user_id))

    def unfavorite(self, item_id: str, user_id: str, *, by: str | None = None) -> bool:
        favorite = table_of(models.Favorite)
        link = delete(favorite).where(
            favorite.c.user_id == user_id, favorite.c.item_id == item_id
        )
        with self._store.transaction(by=by):
            self._store.demand("item", models.Item, item_id)
            return self._change(link, Log(Action.UNFAVORITED, item_id, by, user_id))

    def favorites(self, user_id: str) -> list[Item]:
        self._store.demand("user", models.User, user_id)
        liked = select(models.Favorite.item_id).where(
            models.Favorite.user_id == user_id
        )
        query = newest_first().where(models.Item.id.in_(liked))
        return self._store.entities(Item, query)

    def relate(self, item_id: str, other_id: str, *, by: str | None = None) -> bool:
        first, second = in_order(item_id, other_id)
        row = {"item_id": first, "related_id": second}
        link = insert(table_of(models.RelatedItem)).values(row).on_conflict_do_nothing()
        with self._store.transaction(by=by):
            self._store.demand("item", models.Item, item_id)
            self._store.demand("item", models.Item, other_id)
            return self._change(link, Log(Action.RELATED, item_id, by, other_id))

    def unrelate(self, item_id: str, other_id: str, *, by: str | None = None) -> bool:
        first, second = in_order(item_id, other_id)
        pair = table_of(models.RelatedItem)
        link = delete(pair).where(pair.c.item_id == first, pair.c.related_id == second)
        with self._store.transaction(by=by):
            self._store.demand("item", models.Item, item_id)
            return self._change(link, Log(Action.UNRELATED, item_id, by, other_id))

    def related(self, item_id: str) -> list[Item]:
        self._store.demand("item", models.Item, item_id)
        pair = table_of(models.RelatedItem).c
        after = select(pair.related_id).where(pair.item_id == item_id)
        before = select(pair.item_id).where(pair.related_id == item_id)
        id = models.Item.id
        query = newest_first().where(or_(id.in_(after), id.in_(before)))
        return self._store.entities(Item, query)

    def _change(self, link: Insert | Delete, entry: Log) -> bool:
        # Not rowcount, which SQLAlchemy does not keep for an INSERT.
        changed = link.returning(link.table.c.item_id)
        if self._store.session.execute(changed).first() is None:
            return False
        self._store.log(entry)
        return True
