"""Users, item types and locations on MongoDB."""

from __future__ import annotations

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from ...entities import Action, ItemType, Location, Log, User, fold
from .documents import Document, Entity, to_document, to_entity
from .store import Store


class MongoCatalog:
    """See `CatalogRepository`. Sorted here: the two databases collate differently."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_user(self, user: User, *, by: str | None = None) -> None:
        entry = Log(Action.USER_ADDED, None, by, user.name)
        self._add(self._store.users, user, entry, by)

    def users(self) -> list[User]:
        return sorted(self._all(User, self._store.users), key=lambda u: fold(u.name))

    def add_type(self, item_type: ItemType, *, by: str | None = None) -> None:
        entry = Log(Action.TYPE_ADDED, None, by, item_type.name)
        self._add(self._store.types, item_type, entry, by)

    def types(self) -> list[ItemType]:
        return sorted(
            self._all(ItemType, self._store.types), key=lambda t: fold(t.name)
        )

    def add_location(self, location: Location, *, by: str | None = None) -> None:
        entry = Log(Action.LOCATION_ADDED, None, by, str(location))
        self._add(self._store.locations, location, entry, by)

    def locations(self) -> list[Location]:
        return sorted(self._all(Location, self._store.locations), key=str)

    def _add(
        self,
        collection: Collection[Document],
        entity: object,
        entry: Log,
        by: str | None,
    ) -> None:
        def work(session: ClientSession) -> None:
            collection.insert_one(to_document(entity), session=session)
            self._store.log(entry, session)

        self._store.transact(work, by=by)

    def _all(
        self, kind: type[Entity], collection: Collection[Document]
    ) -> list[Entity]:
        return [to_entity(kind, found) for found in collection.find().sort("_id")]
