"""Keys of a unique index that a sample would write but other documents have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from ..expressions.ranges import Query, both, ids_in
from ..server.failures import shown
from .counting import limit_ms

_MISSING = object()


class TakenKey(Exception):
    """A document outside the sample has a key; the message says which."""


def refuse_taken(
    target: Collection[RawBSONDocument],
    spec: Mapping[str, Any],
    written: Sequence[RawBSONDocument],
    ids: Sequence[Any],
) -> None:
    """Raise TakenKey if a document other than the written ones has one of their keys.

    spec: of a unique index. Keys that contain an array are not searched for.
    """
    partial = spec.get("partialFilterExpression", {})
    keys = [key for document in written for key in _key_of(document, spec)]
    others: Query = {"$nor": [ids_in(ids)]}
    collation = spec.get("collation")
    for start in range(0, len(keys), _AT_ONCE):
        some: Query = {"$or": keys[start : start + _AT_ONCE]}
        query = both(both(some, others), partial)
        found = target.find(query, limit=1, max_time_ms=limit_ms())
        if collation is not None:
            found = found.collation(collation)
        for document in found:
            for key in _key_of(document, spec):
                told = shown({path: value["$eq"] for path, value in key.items()})
                what = f"A unique index refuses a second document with {told}"
                raise TakenKey(what)


_AT_ONCE = 100


def _key_of(
    document: RawBSONDocument, spec: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the filter for documents with a document's key, if it has one."""
    found = {path: _value(document, path.split(".")) for path in spec["key"]}
    if spec.get("sparse") and all(value is _MISSING for value in found.values()):
        return
    if any(isinstance(value, list) for value in found.values()):
        return
    yield {
        path: {"$eq": None if value is _MISSING else value}
        for path, value in found.items()
    }


def _value(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(document, Mapping):
            return document if isinstance(document, list) else _MISSING
        document = document.get(name, _MISSING)
    return document
