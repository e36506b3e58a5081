"""Which documents share a key of a unique index, whether or not it exists yet.

Source: MongoDB manual, Unique Indexes (sparse and partial indexes leave documents out).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ops import CreateIndex
from ..expressions.index_keys import keys_of
from ..expressions.ranges import Query
from ..server.failures import shown
from ..server.views import ExactDatabase
from .counting import SAMPLES, aggregate

Keys = Sequence[tuple[str, Any]]
"""The fields of an index, each with its direction."""


def duplicates(
    db: ExactDatabase,
    collection: str,
    index: CreateIndex,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Return the number of documents that share a key, with samples.

    options: those of the index, as the driver takes them. Returns None if it took too
    long.
    """
    options = index.options if options is None else options
    collation = options.get("collation")
    more = {} if collation is None else {"collation": dict(collation)}
    fields = [field for field, _ in index.keys]
    keys = keys_of(fields, sparse=bool(options.get("sparse")))
    stages = [{"$match": indexed_by(index, options)}, *_by_key(keys), *_summed()]
    found = aggregate(db, collection, stages, **more)
    return None if found is None else found[0]


def indexed_by(operation: CreateIndex, options: Mapping[str, Any]) -> Query:
    """Return the filter for the documents that go into the index."""
    partial: Query | None = options.get("partialFilterExpression")
    if partial is not None:
        return partial
    if options.get("sparse"):
        return {"$or": [{field: {"$exists": True}} for field, _ in operation.keys]}
    return {}


def _by_key(keys: Any) -> list[dict[str, Any]]:
    """Return the stages that group documents by their keys in the index."""
    return [
        {"$project": {"key": keys}},
        {"$unwind": "$key"},
        # One document may have a key twice, in an array: that is not a duplicate.
        {"$group": {"_id": {"document": "$_id", "key": "$key"}}},
        {
            "$group": {
                "_id": "$_id.key",
                "documents": {"$sum": 1},
                "first": {"$min": "$_id.document"},
                "last": {"$max": "$_id.document"},
            }
        },
        {"$match": {"documents": {"$gt": 1}}},
    ]


def _summed() -> list[dict[str, Any]]:
    total = {
        "$group": {
            "_id": None,
            "keys": {"$sum": 1},
            "documents": {"$sum": "$documents"},
        }
    }
    most_first = [{"$sort": {"documents": -1, "_id": 1}}, {"$limit": SAMPLES}]
    return [{"$facet": {"total": [total], "samples": most_first}}]


def shown_key(keys: Keys, found: Mapping[str, Any]) -> str:
    """Return a sample as text: the key, and which documents have it."""
    key = {field: found["_id"].get(f"k{n}") for n, (field, _) in enumerate(keys)}
    first, last = shown(found["first"]), shown(found["last"])
    count = found["documents"]
    which = f"_id {first} and {last}" if count == 2 else f"{count}, such as {first}"
    return f"{shown(key)} ({which})"
