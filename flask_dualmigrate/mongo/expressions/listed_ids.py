"""A long list of `_id`s in a walk's filter; each batch sends only its part."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bson import ObjectId

from .ranges import Query

_FEW = 1000
"""The maximum length of a list that is sent with each batch as it is."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """`{_id: {$in: […]}, …}`, taken apart.

    keys: the `_id`s, sorted, in a form that Python orders as the server does; values:
    the same `_id`s as they are; rest: the other tests of the filter.
    """

    keys: Sequence[Any]
    values: Sequence[Any]
    rest: Query
    kind: type

    def covers(self, place: Mapping[str, Any]) -> bool:
        """Return whether the ends of a range have the type of the `_id`s."""
        ends = [place[key] for key in ("last", "until") if key in place]
        return all(_kind_of(end) is self.kind for end in ends)

    def query(self, place: Mapping[str, Any], *, at_most: int | None = None) -> Query:
        """Return the filter for the first ones after `last` and up to `until`.

        place: either may be missing. at_most: the number of `_id`s.
        """
        key_of, begin, end = _KEYS[self.kind], 0, len(self.keys)
        if "last" in place:
            begin = bisect_right(self.keys, key_of(place["last"]))
        if "until" in place:
            end = bisect_right(self.keys, key_of(place["until"]))
        if at_most is not None:
            end = min(end, begin + at_most)
        return {"_id": {"$in": list(self.values[begin:end])}, **self.rest}


def listed_in(query: Query) -> Listed | None:
    """Take a filter apart; None if it has no long list, or one of mixed types.

    The order matches the server's for numbers without fractions, for texts under the
    simple collation, and for ObjectIds.
    """
    test = query.get("_id")
    if not isinstance(test, Mapping) or [*test] != ["$in"]:
        return None
    ids = list(test["$in"])
    kinds = set(map(_kind_of, ids)) if len(ids) > _FEW else set()
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None:
        return None
    key_of = _KEYS[kind]
    found = {key_of(_id): _id for _id in ids}
    keys = sorted(found)
    rest = {name: value for name, value in query.items() if name != "_id"}
    return Listed(keys, [found[key] for key in keys], rest, kind)


def _kind_of(value: Any) -> type | None:
    if isinstance(value, bool):
        return None
    return next((kind for kind in _KEYS if isinstance(value, kind)), None)


_KEYS: Mapping[type, Callable[[Any], Any]] = {
    int: int,
    str: str.encode,
    ObjectId: lambda value: value.binary,
}
