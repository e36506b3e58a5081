"""What the app asks of a database; `postgres` and `mongo` each answer in their way.

A method that changes something writes its log entry in the same transaction, `by` the
user whose id is given (None: nobody in particular). All of them raise

NotFoundError       the item (or the user, where one is asked about) does not exist
InvalidInputError   an id given as a value names nothing
ConflictError       a value is taken already, or the item is there already
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..entities import (
    Item,
    ItemChanges,
    ItemType,
    Location,
    Log,
    Movement,
    Page,
    Slice,
    Status,
    User,
)
from ..errors import InvalidInputError


class CatalogRepository(Protocol):
    """Users, item types and locations: added, then referred to."""

    def add_user(self, user: User, *, by: str | None = None) -> None: ...

    def users(self) -> list[User]: ...

    def add_type(self, item_type: ItemType, *, by: str | None = None) -> None: ...

    def types(self) -> list[ItemType]: ...

    def add_location(self, location: Location, *, by: str | None = None) -> None: ...

    def locations(self) -> list[Location]: ...


class ItemRepository(Protocol):
    """Items: kept, found, changed and moved. Lists have the newest first."""

    def add(self, item: Item, *, by: str | None = None) -> None: ...

    def get(self, item_id: str) -> Item: ...

    def find(
        self, where: ItemFilter | None = None, part: Slice | None = None
    ) -> Page[Item]: ...

    def update(
        self, item_id: str, changes: ItemChanges, *, by: str | None = None
    ) -> Item: ...

    def move(
        self, item_id: str, location_id: str, *, by: str | None = None
    ) -> Item: ...

    def delete(self, item_id: str, *, by: str | None = None) -> None: ...

    def movements(self, item_id: str) -> list[Movement]: ...


class LinkRepository(Protocol):
    """Favorites (user to item) and related items (item to item, both ways).

    To make a link that is there already, or end one that is not, changes and logs
    nothing, and returns False.
    """

    def favorite(
        self, item_id: str, user_id: str, *, by: str | None = None
    ) -> bool: ...

    def unfavorite(
        self, item_id: str, user_id: str, *, by: str | None = None
    ) -> bool: ...

    def favorites(self, user_id: str) -> list[Item]: ...

    def relate(self, item_id: str, other_id: str, *, by: str | None = None) -> bool: ...

    def unrelate(
        self, item_id: str, other_id: str, *, by: str | None = None
    ) -> bool: ...

    def related(self, item_id: str) -> list[Item]: ...


class LogRepository(Protocol):
    """The activity log, newest first."""

    def find(
        self, item_id: str | None = None, part: Slice | None = None
    ) -> Page[Log]: ...


@dataclass(frozen=True)
class ItemFilter:
    """Which items are wanted; None: any. `text`: each of its words occurs."""

    type_id: str | None = None
    location_id: str | None = None
    status: Status | None = None
    text: str = ""


@dataclass(frozen=True)
class Repositories:
    """All repositories of one database."""

    catalog: CatalogRepository
    items: ItemRepository
    links: LinkRepository
    logs: LogRepository


def in_order(item_id: str, other_id: str) -> tuple[str, str]:
    """Return two items as the pair that is stored: one a pair, the smaller id first.

    Raises InvalidInputError when they are the same.
    """
    if item_id == other_id:
        raise InvalidInputError("related", "an item cannot be related to itself")
    first, second = sorted((item_id, other_id))
    return first, second
