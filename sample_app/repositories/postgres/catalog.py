"""Users, item types and locations on PostgreSQL."""

from __future__ import annotations

from sqlalchemy import select

from ... import models
from ...entities import Action, ItemType, Location, Log, User, fold
from ...extensions import Base
from .store import Entity, Store, table_of


class PostgresCatalog:
    """See `CatalogRepository`. Sorted here: the two databases collate differently."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_user(self, user: User, *, by: str | None = None) -> None:
        self._add(models.User, user, Log(Action.USER_ADDED, None, by, user.name), by)

    def users(self) -> list[User]:
        return sorted(self._all(User, models.User), key=lambda user: fold(user.name))

    def add_type(self, item_type: ItemType, *, by: str | None = None) -> None:
        entry = Log(Action.TYPE_ADDED, None, by, item_type.name)
        self._add(models.ItemType, item_type, entry, by)

    def types(self) -> list[ItemType]:
        return sorted(
            self._all(ItemType, models.ItemType), key=lambda kind: fold(kind.name)
        )

    def add_location(self, location: Location, *, by: str | None = None) -> None:
        entry = Log(Action.LOCATION_ADDED, None, by, str(location))
        self._add(models.Location, location, entry, by)

    def locations(self) -> list[Location]:
        return sorted(self._all(Location, models.Location), key=str)

    def _add(
        self, model: type[Base], entity: object, entry: Log, by: str | None
    ) -> None:
        with self._store.transaction(by=by):
            self._store.insert(model, entity)
            self._store.log(entry)

    def _all(self, kind: type[Entity], model: type[Base]) -> list[Entity]:
        table = table_of(model)
        return self._store.entities(kind, select(table).order_by(table.c.id))
