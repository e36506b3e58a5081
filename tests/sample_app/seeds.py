"""What the app had stored after each revision of its history, on either database.

A position is the number of revisions that are applied: 1 to 8. What is stored at a
position follows from what would be stored at head, by taking back what came later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pymongo.database import Database

from sample_app.config import COLLECTIONS
from sample_app.entities import (
    Action,
    Item,
    ItemType,
    Location,
    Log,
    Movement,
    Status,
    User,
    values_of,
)
from sample_app.repositories.mongo.documents import CODEC_OPTIONS, plain, to_document
from sample_app.repositories.postgres.items import to_row

Values = dict[str, Any]

# The positions at which these came to the app.
STATUS, NAME, DECIMAL_PRICE, LINKS, ATTRIBUTES, SEARCH_TEXT = 2, 3, 4, 6, 7, 8

NOON = datetime(2026, 5, 4, 12, 0, 0, 250_000, UTC)
LATER = NOON.replace(hour=13)

USERS = (
    User("Ada", "ada@example.org", id="ada", created_at=NOON),
    User("Grace", None, id="grace", created_at=NOON),
    User("Linus", None, id="linus", created_at=LATER),
)
TYPES = (ItemType("Instrument", id="instrument"), ItemType("Tool", id="tool"))
LOCATIONS = (
    Location("2", "214", "shelf 3", id="shelf"),
    Location("-1", "Cellar", id="cellar"),
)
ITEMS = (
    Item(
        "Oszilloskop  Größe M",
        "instrument",
        description="two channels,\n100 MHz",
        location_id="shelf",
        status=Status.IN_USE,
        price=Decimal("1249.50"),
        serial_number="TDS-210",
        # In the order of JSONB, which keeps no other: short keys first.
        attributes={"ok": True, "lent": None, "probes": ["x1", "x10"], "channels": 2},
        id="scope",
        created_at=NOON,
        updated_at=LATER,
    ),
    Item("Hammer", "tool", id="hammer", created_at=LATER, updated_at=LATER),
    Item(
        "İSTANBUL saw",
        "tool",
        status=Status.LOST,
        price=Decimal("0.00"),
        location_id="cellar",
        id="saw",
        created_at=NOON,
        updated_at=NOON,
    ),
)
LOGS = (
    Log(Action.CREATED, "scope", "ada", "Oszilloskop", id="log1", timestamp=NOON),
    Log(Action.DELETED, "gone", None, "Drill", id="log2", timestamp=LATER),
    Log(Action.TYPE_ADDED, None, None, "Tool", id="log3", timestamp=NOON),
)
FAVORITES = (
    {"user_id": "ada", "item_id": "scope", "created_at": NOON},
    {"user_id": "ada", "item_id": "saw", "created_at": LATER},
    {"user_id": "grace", "item_id": "scope", "created_at": NOON},
)
RELATED_ITEMS = ({"item_id": "hammer", "related_id": "saw"},)
MOVEMENTS = (
    Movement("scope", None, "cellar", None, id="move1", moved_at=NOON),
    Movement("scope", "cellar", "shelf", "ada", id="move2", moved_at=LATER),
)


def rows_at(position: int) -> dict[str, list[Values]]:
    """Return table -> rows; a table comes after those that it refers to."""
    rows = {
        "users": list(map(values_of, USERS)),
        "item_types": list(map(values_of, TYPES)),
        "locations": list(map(values_of, LOCATIONS)),
        "items": [as_of(position, to_row(item)) for item in ITEMS],
        "logs": list(map(values_of, LOGS)),
    }
    if position >= LINKS:
        rows["favorites"] = [dict(link) for link in FAVORITES]
        rows["related_items"] = [dict(link) for link in RELATED_ITEMS]
        rows["movements"] = list(map(values_of, MOVEMENTS))
    return rows


def documents_at(position: int) -> dict[str, list[Values]]:
    """Return collection -> documents."""
    documents = {
        "user": list(map(to_document, USERS)),
        "type": list(map(to_document, TYPES)),
        "location": list(map(to_document, LOCATIONS)),
        "item": [as_of(position, to_document(item)) for item in ITEMS],
        "activity_logs": list(map(to_document, LOGS)),
    }
    if position >= LINKS:
        documents["favorites"] = [dict(link) for link in FAVORITES]
        documents["related_items"] = [dict(link) for link in RELATED_ITEMS]
        documents["movements"] = list(map(to_document, MOVEMENTS))
    return documents


def as_of(position: int, item: Mapping[str, Any]) -> Values:
    """Return an item's row or document as the app wrote it at a position."""
    return {
        "title" if field == "name" and position < NAME else field: value
        for field, value in _values_as_of(position, item)
    }


def _values_as_of(position: int, item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    since = {"status": STATUS, "attributes": ATTRIBUTES, "search_text": SEARCH_TEXT}
    for field, value in item.items():
        if position < since.get(field, 1):
            continue
        if field == "price" and value is not None and position < DECIMAL_PRICE:
            yield field, str(value)  # a text with two decimal places
        else:
            yield field, plain(value)


def items_from(position: int) -> list[Item]:
    """Return what the app reads at head of the items that were stored at a position."""
    unknown: dict[str, Any] = {}
    if position < STATUS:
        unknown["status"] = Status.AVAILABLE
    if position < ATTRIBUTES:
        unknown["attributes"] = {}
    return [replace(item, **unknown) for item in ITEMS]


def seed_postgres(engine: sa.Engine, position: int) -> None:
    """Store what there was at a position, in tables as they are then."""
    metadata = sa.MetaData()
    metadata.reflect(engine)
    with engine.begin() as connection:
        for table, rows in rows_at(position).items():
            connection.execute(metadata.tables[table].insert(), rows)


def seed_mongo(db: Database[Any], position: int) -> None:
    """Store what there was at a position, without making a collection."""
    known = set(db.list_collection_names())
    for name, documents in documents_at(position).items():
        assert name in known
        db.get_collection(name, CODEC_OPTIONS).insert_many(documents)


def collection_of(table: str) -> str:
    """Return the name of a table's collection."""
    return COLLECTIONS.get(table, table)
