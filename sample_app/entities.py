"""The values that repositories take and give, the same for both databases.

What one database can hold and the other cannot stays out of them: times are whole
milliseconds, as a BSON date holds no more; prices have two decimal places.
"""

from __future__ import annotations

import dataclasses
import enum
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, TypedDict, TypeVar

T = TypeVar("T")


def new_id() -> str:
    """Make an id that both databases can hold: 32 hexadecimal digits.

    It begins with the time in nanoseconds, so ids sort in the order they were made.
    """
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


def utc_now() -> datetime:
    """Return the time in UTC, cut to the millisecond that a BSON date can hold."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Action(enum.StrEnum):
    """What somebody did, as the activity log calls it."""

    USER_ADDED = "user added"
    TYPE_ADDED = "type added"
    LOCATION_ADDED = "location added"
    CREATED = "created"
    UPDATED = "updated"
    MOVED = "moved"
    FAVORITED = "favorited"
    UNFAVORITED = "unfavorited"
    RELATED = "related"
    UNRELATED = "unrelated"
    DELETED = "deleted"


class Status(enum.StrEnum):
    """Where an item is in its life."""

    AVAILABLE = "available"
    IN_USE = "in_use"
    MAINTENANCE = "maintenance"
    LOST = "lost"
    RETIRED = "retired"


@dataclass(frozen=True)
class User:
    """Somebody who keeps, moves and likes items."""

    name: str
    email: str | None = None
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True)
class ItemType:
    """A kind of item."""

    name: str
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Location:
    """A place for items; an empty zone is the whole room."""

    floor: str
    room: str
    zone: str = ""
    id: str = field(default_factory=new_id)

    def __str__(self) -> str:
        return " / ".join(filter(None, (self.floor, self.room, self.zone)))


@dataclass(frozen=True)
class Item:
    """A thing that is somewhere."""

    name: str
    type_id: str
    description: str = ""
    location_id: str | None = None
    status: Status = Status.AVAILABLE
    price: Decimal | None = None
    serial_number: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utc_now)
    updated_at: datetime = field(default_factory=utc_now)

    @property
    def search_text(self) -> str:
        """What a search looks through; stored beside the item.

        Computed here, not by a database: lower() depends on PostgreSQL's locale, and
        MongoDB's $toLower knows ASCII only.
        """
        return fold(f"{self.name} {self.description} {self.serial_number or ''}")

    def changed(self, **values: Any) -> Item:
        """Return the item with other values, changed now."""
        return dataclasses.replace(self, **values, updated_at=utc_now())


class ItemChanges(TypedDict, total=False):
    """What an update may change. An item gets to another place by a move only."""

    name: str
    type_id: str
    description: str
    status: Status
    price: Decimal | None
    serial_number: str | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Movement:
    """An item went from one place (None: nowhere yet) to another."""

    item_id: str
    from_location_id: str | None
    to_location_id: str
    user_id: str | None
    id: str = field(default_factory=new_id)
    moved_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True)
class Log:
    """One line of the activity log; it outlives the item that it tells of."""

    action: str
    item_id: str | None = None
    user_id: str | None = None
    detail: str = ""
    id: str = field(default_factory=new_id)
    timestamp: datetime = field(default_factory=utc_now)


@dataclass(frozen=True)
class Slice:
    """Which part of a list is wanted: `limit` entries after the first `offset`."""

    limit: int = 50
    offset: int = 0


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, and how long the whole of it is."""

    entries: list[T]
    total: int


def fold(text: str) -> str:
    """Make texts comparable: without case, with single blanks."""
    return " ".join(text.casefold().split())


def values_of(entity: Any) -> dict[str, Any]:
    """Return a dataclass's fields by name; the values themselves are not copied."""
    return {f.name: getattr(entity, f.name) for f in dataclasses.fields(entity)}
