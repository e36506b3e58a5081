"""Refusing documents that contain a field twice, before they are written.

A pipeline that writes such a field makes MongoDB 6.0 abort, on every run; one that
rebuilds the document, as renaming does, loses one of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..expressions.paths import Expr
from ..expressions.ranges import Query, both
from .conform import refuse_if_any
from .step_under_way import Work

_SETTING = ("$set", "$addFields", "$project")


def refuse_repeated(
    work: Work, collection: str, fields: Iterable[str], *, query: Query | None = None
) -> None:
    """Refuse documents that contain a name twice, next to a field or above it.

    fields: paths. query: which documents will be written; by default all.
    """
    above = {""}
    for field in fields:
        parts = field.split(".")
        above |= {".".join(parts[:size]) for size in range(1, len(parts))}
    tests = [_has_twice(path) for path in sorted(above)]
    refuse_if_any(
        work,
        collection,
        both(query or {}, {"$expr": {"$or": tests}}),
        problem="contain a field twice",
        hint="MongoDB may abort because of that, or lose one of the two. "
        "Rewrite those documents with each field once, or delete them.",
    )


def set_by(stages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the paths that the stages of an update set."""
    for stage in stages:
        for name in _SETTING:
            if isinstance(stage.get(name), Mapping):
                yield from stage[name]
        removed = stage.get("$unset", [])
        yield from [removed] if isinstance(removed, str) else removed


def _has_twice(path: str) -> Expr:
    """True if a document rebuilt from its fields differs in size."""
    value = f"${path}" if path else "$$ROOT"
    anew = {"$arrayToObject": {"$objectToArray": value}}
    other_size = {"$ne": [{"$bsonSize": anew}, {"$bsonSize": value}]}
    if not path:
        return other_size
    return {"$and": [{"$eq": [{"$type": value}, "object"]}, other_size]}
