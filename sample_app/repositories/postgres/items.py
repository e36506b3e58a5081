"""Items on PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select, update

from ... import models
from ...entities import (
    Action,
    Item,
    ItemChanges,
    Log,
    Movement,
    Page,
    Slice,
    fold,
    values_of,
)
from ...errors import ConflictError, NotFoundError
from ..base import ItemFilter
from .store import Store, entity, table_of


class PostgresItems:
    """See `ItemRepository`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, item: Item, *, by: str | None = None) -> None:
        with self._store.transaction(by=by):
            self._store.require("type_id", models.ItemType, item.type_id)
            self._store.require("location_id", models.Location, item.location_id)
            self._store.session.execute(insert(models.Item).values(to_row(item)))
            self._store.log(Log(Action.CREATED, item.id, by, item.name))

    def get(self, item_id: str) -> Item:
        return self._one(item_id, by_id(item_id))

    def find(
        self, where: ItemFilter | None = None, part: Slice | None = None
    ) -> Page[Item]:
        query = newest_first().where(*conditions(where or ItemFilter()))
        return self._store.page(Item, query, part)

    def update(
        self, item_id: str, changes: ItemChanges, *, by: str | None = None
    ) -> Item:
        with self._store.transaction(by=by):
            item = self._locked(item_id).changed(**changes)
            self._store.require("type_id", models.ItemType, item.type_id)
            self._write(item)
            detail = ", ".join(sorted(changes))
            self._store.log(Log(Action.UPDATED, item_id, by, detail))
        return item

    def move(self, item_id: str, location_id: str, *, by: str | None = None) -> Item:
        with self._store.transaction(by=by):
            before = self._locked(item_id)
            self._store.require("location_id", models.Location, location_id)
            if before.location_id == location_id:
                raise ConflictError("The item is there already.", field="location_id")
            item = before.changed(location_id=location_id)
            self._write(item)
            step = Movement(item_id, before.location_id, location_id, by)
            self._store.insert(models.Movement, step)
            self._store.log(Log(Action.MOVED, item_id, by, location_id))
        return item

    def delete(self, item_id: str, *, by: str | None = None) -> None:
        with self._store.transaction(by=by):
            item = self._locked(item_id)
            # Favorites, related items and movements go with it: ON DELETE CASCADE.
            self._store.session.execute(
                delete(models.Item).where(models.Item.id == item_id)
            )
            self._store.log(Log(Action.DELETED, item_id, by, item.name))

    def movements(self, item_id: str) -> list[Movement]:
        self._store.demand("item", models.Item, item_id)
        table = table_of(models.Movement)
        steps = select(table).where(table.c.item_id == item_id)
        newest = steps.order_by(table.c.moved_at.desc(), table.c.id.desc())
        return self._store.entities(Movement, newest)

    def _locked(self, item_id: str) -> Item:
        return self._one(item_id, by_id(item_id).with_for_update())

    def _one(self, item_id: str, query: Select[Any]) -> Item:
        row = self._store.session.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFoundError("item", item_id)
        return entity(Item, row)

    def _write(self, item: Item) -> None:
        statement = update(models.Item).where(models.Item.id == item.id)
        self._store.session.execute(statement.values(to_row(item)))


def to_row(item: Item) -> dict[str, Any]:
    """Return an item's columns."""
    return {**values_of(item), "search_text": item.search_text}


def by_id(item_id: str) -> Select[Any]:
    """Select one item."""
    table = table_of(models.Item)
    return select(table).where(table.c.id == item_id)


def newest_first() -> Select[Any]:
    """Select all items, in the order of `ix_items_newest`."""
    table = table_of(models.Item)
    return select(table).order_by(table.c.created_at.desc(), table.c.id.desc())


def conditions(where: ItemFilter) -> list[ColumnElement[bool]]:
    """Return what an item must fulfil to pass a filter."""
    item = models.Item
    wanted: list[ColumnElement[bool]] = [
        item.search_text.contains(word, autoescape=True)
        for word in fold(where.text).split()
    ]
    if where.type_id is not None:
        wanted.append(item.type_id == where.type_id)
    if where.location_id is not None:
        wanted.append(item.location_id == where.location_id)
    if where.status is not None:
        wanted.append(item.status == where.status)
    return wanted
