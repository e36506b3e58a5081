"""What the form of an update shows: which fields it writes, and whether it takes
its documents out of its own filter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId

_WRITERS = (
    *("$set", "$inc", "$mul", "$min", "$max"),
    *("$push", "$addToSet", "$currentDate"),
)
"""Operators after which a field exists."""

_SCALARS = (bool, int, str, ObjectId)


def excludes_itself(query: Mapping[str, Any], update: Any) -> bool:
    """True if an updated document can no longer match the filter.

    query: a filter; update: operators, or a pipeline, which is not analysed. Only plain
    values are compared, so this holds only under the simple collation.
    """
    if not isinstance(update, Mapping):
        return False
    return any(_excludes(field, test, update) for field, test in query.items())


def _excludes(field: str, test: Any, update: Mapping[str, Any]) -> bool:
    if field == "$and":
        return any(excludes_itself(query, update) for query in test)
    if field.startswith("$") or "." in field:  # a dotted path may reach into an array
        return False
    if field in update.get("$unset", {}):
        return bool(test == {"$exists": True}) or type(test) in _SCALARS
    if test == {"$exists": False}:
        return any(field in update.get(writer, {}) for writer in _WRITERS)
    written = update.get("$set", {})
    return field in written and _differs(test, written[field])


def _differs(test: Any, value: Any) -> bool:
    """True if a written value fails a test of the filter."""
    if type(value) not in _SCALARS:
        return False
    if test is None:
        return True
    if type(test) is type(value):
        return bool(test != value)
    if isinstance(test, Mapping) and len(test) == 1 and "$ne" in test:
        return type(test["$ne"]) is type(value) and bool(test["$ne"] == value)
    return False


def shape_written(*updates: Any) -> dict[str, bool] | None:
    """Return the projection of the fields that updates write, if operators show them.

    None stands for the whole document: the fields of a pipeline are not known.
    """
    shape: dict[str, bool] = {}
    for update in updates:
        if not isinstance(update, Mapping):
            return None
        for operator, fields in update.items():
            names = [*fields]
            if operator == "$rename":
                names += fields.values()
            shape |= {name.partition(".")[0]: True for name in names}
    return shape
