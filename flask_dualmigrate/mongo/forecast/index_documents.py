"""Documents that an index cannot take, found by trying some on a scratch index.

The first ones are tried, and all that look odd: two arrays, an array under a hashed
field, a language that text indexes do not know, invalid geometry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bson.raw_bson import RawBSONDocument

from ...ops import CreateIndex
from ..batches.walk import read_capped
from ..expressions.index_keys import is_parallel
from ..expressions.ranges import Query, both
from .counting import limit_ms
from .look import Look, Told
from .sample import SIZE, try_index

_SUSPECTS = 20
"""The number of documents of each kind to try."""

_WHOLE_EARTH = {"$geoWithin": {"$centerSphere": [[0, 0], 4]}}
"""A cap with a radius over pi, which contains every geometry."""


def tell_untaken(
    look: Look[CreateIndex],
    spec: Mapping[str, Any],
    indexed: Query,
    told: Told,
    *,
    collation: Mapping[str, Any] | None,
) -> None:
    """Report documents for which the server refuses to build an index.

    spec: as createIndexes takes it. indexed: the filter of what goes into it.
    """
    # Duplicate keys are counted separately.
    alone = {key: value for key, value in spec.items() if key != "unique"}
    for query in ({}, *_suspicious(look, alone)):
        documents = _some(look, both(indexed, query), SIZE if not query else _SUSPECTS)
        refused = documents and try_index(
            look.work, alone, collation=collation, documents=documents
        )
        if refused:
            told.problems.append(
                f"The index {spec['name']} of {look.said.collection} cannot be built: "
                f"{refused}"
            )
            return


def _some(look: Look[Any], query: Query, most: int) -> tuple[RawBSONDocument, ...]:
    target = look.db[look.collection]
    return read_capped(target.find(query, limit=most, max_time_ms=limit_ms()))


def _suspicious(look: Look[Any], spec: Mapping[str, Any]) -> Iterator[Query]:
    """Yield filters for documents that an index may not take."""
    ways: Mapping[str, Any] = spec["key"]
    plain = [name for name, way in ways.items() if not isinstance(way, str)]
    if len(plain) > 1:
        yield {"$expr": is_parallel(plain)}
    for name, way in ways.items():
        if way == "hashed":
            above = name.split(".")
            paths = [".".join(above[: end + 1]) for end in range(len(above))]
            yield {"$expr": {"$or": [{"$isArray": [f"${path}"]} for path in paths]}}
        elif way == "2dsphere":
            yield {name: {"$ne": None}, "$nor": [{name: _WHOLE_EARTH}]}
        elif way == "text":
            yield from _languages(look, spec.get("language_override", "language"))


def _languages(look: Look[Any], field: str) -> Iterator[Query]:
    """Yield a filter for each language that documents name."""
    stages: list[Mapping[str, Any]] = [
        {"$match": {field: {"$exists": True}}},
        {"$group": {"_id": f"${field}"}},
        {"$limit": _SUSPECTS},
    ]
    target = look.db[look.collection]
    for found in target.aggregate(stages, maxTimeMS=limit_ms()):
        yield {field: {"$eq": found["_id"]}}
