"""Items on MongoDB."""

from __future__ import annotations

import re

from pymongo.client_session import ClientSession

from ...entities import Action, Item, ItemChanges, Log, Movement, Page, Slice, fold
from ...errors import ConflictError, NotFoundError
from ..base import ItemFilter
from .documents import Document, plain, to_document, to_entity
from .store import Store


class MongoItems:
    """See `ItemRepository`. No foreign keys here: each reference is looked up."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, item: Item, *, by: str | None = None) -> None:
        store = self._store

        def work(session: ClientSession) -> None:
            store.require("type_id", store.types, item.type_id, session)
            store.require("location_id", store.locations, item.location_id, session)
            store.items.insert_one(to_document(item), session=session)
            store.log(Log(Action.CREATED, item.id, by, item.name), session)

        store.transact(work, by=by)

    def get(self, item_id: str) -> Item:
        return self._one(item_id, None)

    def find(
        self, where: ItemFilter | None = None, part: Slice | None = None
    ) -> Page[Item]:
        query = conditions(where or ItemFilter())
        return self._store.page(Item, self._store.items, query, part)

    def update(
        self, item_id: str, changes: ItemChanges, *, by: str | None = None
    ) -> Item:
        store = self._store

        def work(session: ClientSession) -> Item:
            item = self._one(item_id, session).changed(**changes)
            store.require("type_id", store.types, item.type_id, session)
            self._write(item, session)
            detail = ", ".join(sorted(changes))
            store.log(Log(Action.UPDATED, item_id, by, detail), session)
            return item

        return store.transact(work, by=by)

    def move(self, item_id: str, location_id: str, *, by: str | None = None) -> Item:
        store = self._store

        def work(session: ClientSession) -> Item:
            before = self._one(item_id, session)
            store.require("location_id", store.locations, location_id, session)
            if before.location_id == location_id:
                raise ConflictError("The item is there already.", field="location_id")
            item = before.changed(location_id=location_id)
            self._write(item, session)
            step = Movement(item_id, before.location_id, location_id, by)
            store.movements.insert_one(to_document(step), session=session)
            store.log(Log(Action.MOVED, item_id, by, location_id), session)
            return item

        return store.transact(work, by=by)

    def delete(self, item_id: str, *, by: str | None = None) -> None:
        store = self._store
        pairs = {"$or": [{"item_id": item_id}, {"related_id": item_id}]}

        def work(session: ClientSession) -> None:
            item = self._one(item_id, session)
            store.items.delete_one({"_id": item_id}, session=session)
            store.favorites.delete_many({"item_id": item_id}, session=session)
            store.related_items.delete_many(pairs, session=session)
            store.movements.delete_many({"item_id": item_id}, session=session)
            store.log(Log(Action.DELETED, item_id, by, item.name), session)

        store.transact(work, by=by)

    def movements(self, item_id: str) -> list[Movement]:
        store = self._store
        store.demand("item", store.items, item_id)
        steps = {"item_id": item_id}
        return store.newest(Movement, store.movements, steps, by_time="moved_at")

    def _one(self, item_id: str, session: ClientSession | None) -> Item:
        document = self._store.items.find_one({"_id": item_id}, session=session)
        if document is None:
            raise NotFoundError("item", item_id)
        return to_entity(Item, document)

    def _write(self, item: Item, session: ClientSession) -> None:
        # A document that another transaction changed meanwhile is a write conflict:
        # the work begins again, so what was read above is what is written over.
        document = to_document(item)
        self._store.items.update_one(
            {"_id": document.pop("_id")}, {"$set": document}, session=session
        )


def conditions(where: ItemFilter) -> Document:
    """Return the query that finds what passes a filter."""
    query: Document = {
        name: plain(value)
        for name, value in (
            ("type_id", where.type_id),
            ("location_id", where.location_id),
            ("status", where.status),
        )
        if value is not None
    }
    if words := fold(where.text).split():
        query["$and"] = [{"search_text": {"$regex": re.escape(w)}} for w in words]
    return query
