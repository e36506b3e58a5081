"""Documents and indexes of MongoDB that make undoing hard.

There are `_id`s of every type in one collection, fields in different orders, null
beside missing, numbers of four types, embedded documents.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, Int64, ObjectId, Timestamp
from pymongo import IndexModel
from pymongo.database import Database

Doc = dict[str, Any]
Db = Database[Any]

IDS: tuple[Any, ...] = (
    None,
    -3,
    1.5,
    Int64(2**40),
    Decimal128("7.25"),
    "a",
    "b",
    {"x": 1, "y": "é"},
    {"y": 1},
    Binary(b"\x00\x01"),
    Binary.from_uuid(UUID(int=7)),
    ObjectId("0123456789abcdef01234567"),
    False,
    True,
    datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    Timestamp(5, 1),
)
"""One `_id` of each type, in MongoDB's order."""


def item(number: int, _id: Any) -> Doc:
    """Return a document; its fields' order, types and presence vary with the number."""
    doc: Doc = {"_id": _id, "name": f"n{number}", "price": str(number), "n": number}
    if number % 2:
        doc["note"] = None if number % 3 else {"b": [1, {"c": number}], "a": 1.0}
    doc["address"] = {"zip": Int64(number), "city": f"c{number}", "x": None}
    if number % 4 == 0:
        doc = {"_id": _id, "old": number, **{k: doc[k] for k in reversed(doc)}}
        doc = {"_id": doc.pop("_id"), **doc}
    if number % 5 == 0:
        del doc["address"]
    doc["last"] = Decimal128("1.50")
    return doc


def seed(db: Db) -> None:
    # The indexes first: on an empty collection they are there at once.
    db.item.create_indexes(
        [
            IndexModel([("name", 1)], name="ix_name", hidden=True),
            IndexModel(
                [("price", 1)],
                name="ux_price",
                unique=True,
                partialFilterExpression={"price": {"$exists": True}},
            ),
            IndexModel(
                [("address.city", 1), ("n", -1)],
                name="ix_city",
                partialFilterExpression={"n": {"$gt": 3}},
                collation={"locale": "de", "strength": 2},
            ),
            IndexModel([("name", "text"), ("note", "text")], name="ix_text"),
        ]
    )
    db.item.insert_many([item(number, _id) for number, _id in enumerate(IDS)])
    db.log.insert_many([{"_id": number, "at": number} for number in range(3)])
