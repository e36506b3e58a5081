"""Indexes that stand in for another one while it is rebuilt.

MongoDB refuses the same key and options under a second name (85), and distinguishes
indexes by their partial filter as written. So an index with a filter that admits the
same documents is a different index, but queries use it and it enforces unique:

    no filter       {}                               every document
    a filter F      {"$and": [F, F]}                 those of F
    sparse          {field: {"$exists": true}}       those that have the field

Tried on MongoDB 6.0: queries use it, with the predicates that let them use the other. A
text index has no stand-in: MongoDB allows one a collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UsageError
from ...indexes.comparison import STAND_IN

_FILTER = "partialFilterExpression"


def stand_in(place: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification of the index that stands in for another.

    Raises UsageError if it has no stand-in: a text index, or a sparse wildcard one.
    """
    key = dict(spec["key"])
    fields = [name for name in key if name != "_id"]
    is_wild = any(name == "$**" or name.endswith(".$**") for name in key)
    if "text" in key.values() or (spec.get("sparse") and (is_wild or not fields)):
        kind = "text" if "text" in key.values() else "sparse wildcard"
        raise UsageError(
            f"{place}.{spec['name']} is a {kind} index, and MongoDB allows no "
            "second one to stand in for it meanwhile: nothing was changed",
            hint="When the app can do without it: `index drop`, then `index sync`.",
        )
    found = {name: value for name, value in spec.items() if name != "sparse"}
    found["name"] = f"{STAND_IN}{spec['name']}"
    if spec.get("sparse"):
        found[_FILTER] = _any_of(fields)
    elif spec.get(_FILTER):
        found[_FILTER] = {"$and": [spec[_FILTER], spec[_FILTER]]}
    elif _FILTER in spec:  # {} already: without a filter it is a different index
        del found[_FILTER]
    else:
        found[_FILTER] = {}
    return found


def original(spec: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the index that another stands in for: the reverse of stand_in()."""
    found = {**spec, "name": name}
    kept = found.pop(_FILTER, None)
    match kept:
        case None:
            found[_FILTER] = {}
        case {"$and": [one, other]} if one == other:
            found[_FILTER] = one
        case {}:
            if kept:
                found["sparse"] = True
    return found


def _any_of(fields: list[str]) -> dict[str, Any]:
    """Match documents with any of the fields: a sparse index leaves out all others."""
    conditions = [{name: {"$exists": True}} for name in fields]
    return conditions[0] if len(conditions) == 1 else {"$or": conditions}
