"""A MongoDB index specification as MongoDB itself compares it.

Sources: MongoDB manual, createIndexes and Collation; tried on 6.0: how listIndexes
shows a specification, and which pairs give errors 85 and 86.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .values import Key

_IGNORED = frozenset({"v", "ns", "key", "name", "background", "storageEngine"})
_FLAGS = frozenset({"unique", "sparse", "hidden", "prepareUnique"})
_OF_TEXT = ("weights", "default_language", "language_override", "textIndexVersion")
_VERSIONS = frozenset({"textIndexVersion", "2dsphereIndexVersion"})

_COLLATION = {
    "caseLevel": False,
    "caseFirst": "off",
    "strength": 3,
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
}
_COLLATION_OF_LOCALE = {"fr_CA": {"backwards": True}}
"""The only locale of MongoDB 6.0's 107 that has different defaults."""

_TWO_D = {"bits": 26, "min": -180, "max": 180}

_TYPES = {
    **{"double": 1, "string": 2, "object": 3, "array": 4, "binData": 5},
    **{"undefined": 6, "objectId": 7, "bool": 8, "date": 9, "null": 10, "regex": 11},
    **{"dbPointer": 12, "javascript": 13, "symbol": 14, "javascriptWithScope": 15},
    **{"int": 16, "timestamp": 17, "long": 18, "decimal": 19, "minKey": -1},
    "maxKey": 127,
}


@dataclasses.dataclass(frozen=True)
class Definition:
    """A specification regardless of its name.

    identity: the part by which MongoDB recognises the same index, and rejects it under
    a second name; extras: everything else, including TTL and hidden.
    """

    key: Key
    options: Mapping[str, Any]

    @property
    def identity(self) -> tuple[Key, dict[str, Any]]:
        own = ("unique", "sparse", "collation", "partialFilterExpression")
        names = (*own, "wildcardProjection", "weights")
        return self.key, {n: self.options[n] for n in names if n in self.options}

    @property
    def is_text(self) -> bool:
        return any(way == "text" for _, way in self.key)

    @property
    def can_be_stood_in_for(self) -> bool:
        """Whether MongoDB accepts a second index that covers the same documents."""
        is_wild = any(name.split(".")[-1] == "$**" for name, _ in self.key)
        return not self.is_text and not (is_wild and "sparse" in self.options)

    def differing(self, other: Definition) -> tuple[str, ...]:
        """Return the options that differ, "key" first."""
        found = [] if self.key == other.key else ["key"]
        names = sorted({*self.options, *other.options})
        return (*found, *(n for n in names if self._get(n) != other._get(n)))

    def _get(self, name: str) -> Any:
        return self.options.get(name)


def normalise(
    key: Key, options: Mapping[str, Any], *, collation: Mapping[str, Any] | None = None
) -> Definition:
    """Return the definition that a specification amounts to.

    key, options: as given to createIndexes, or as listIndexes shows them.
    collation: the collection's default, inherited by an index without its own.
    """
    given = {name: plain(value) for name, value in options.items()}
    key = tuple((name, _way(way)) for name, way in key)
    key, text = _text_key(key, given)
    found = {
        name: value
        for name, value in given.items()
        if name not in _IGNORED | _FLAGS | _VERSIONS
        and name not in (*_OF_TEXT, "collation", "partialFilterExpression")
    }
    found |= {name: True for name in _FLAGS if given.get(name)}
    found |= text
    if any(way == "2d" for _, way in key):
        found = {**_TWO_D, **found}
    own = _collation(given.get("collation", plain(collation)))
    # Indexes that do not compare strings have no collation: text, 2d and hashed.
    if own and not any(way in ("text", "2d") for _, way in key):
        found["collation"] = own
    if "partialFilterExpression" in given:
        found["partialFilterExpression"] = _filter(given["partialFilterExpression"])
    return Definition(key, found)


def plain(value: Any) -> Any:
    """Return a BSON value with plain dicts and lists in place of the driver's types."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


def _way(way: Any) -> Any:
    """Return 1 for 1.0 and for True: MongoDB compares numbers by value."""
    if isinstance(way, str):
        return way
    number = float(way)
    return int(number) if number.is_integer() else number


def _text_key(key: Key, options: Mapping[str, Any]) -> tuple[Key, dict[str, Any]]:
    """Return a text index's key as listIndexes shows it, and its options."""
    if not any(way == "text" for _, way in key):
        return key, {}
    fields = [name for name, way in key if way == "text" and name != "_fts"]
    weights = dict.fromkeys(fields, 1) | dict(options.get("weights") or {})
    found: list[tuple[str, Any]] = []
    for name, way in key:
        if way == "text" and ("_fts", "text") not in found:
            found += [("_fts", "text"), ("_ftsx", 1)]
        elif way != "text" and name != "_ftsx":
            found.append((name, way))
    return tuple(found), {
        "weights": {name: _way(weight) for name, weight in weights.items()},
        "default_language": options.get("default_language", "english"),
        "language_override": options.get("language_override", "language"),
    }


def _collation(given: Any) -> dict[str, Any] | None:
    """Return a collation with the server's defaults; None for the simple one."""
    if not given or given.get("locale") == "simple":
        return None
    locale = given.get("locale")
    defaults = {**_COLLATION, **_COLLATION_OF_LOCALE.get(locale, {})}
    return {**defaults, **{k: v for k, v in given.items() if k != "version"}}


def _filter(given: Any) -> Any:
    """Return a filter in one form: sorted one-field conditions with operators."""
    if not isinstance(given, dict):
        return given
    conditions = sorted(_conditions(given), key=repr)
    return [item for n, item in enumerate(conditions) if item not in conditions[:n]]


def _conditions(given: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in given.items():
        if name == "$and":
            for part in value:
                yield from _conditions(part)
        elif name == "$or":
            yield name, sorted((_filter(part) for part in value), key=repr)
        elif isinstance(value, dict) and value and all(k[:1] == "$" for k in value):
            for operator, operand in value.items():
                yield name, (operator, _operand(operator, operand))
        else:
            yield name, ("$eq", value)


def _operand(operator: str, operand: Any) -> Any:
    if operator == "$type":
        types = operand if isinstance(operand, list) else [operand]
        return sorted((_TYPES.get(item, item) for item in types), key=repr)
    if operator == "$in":
        return sorted(operand, key=repr)
    if operator == "$exists":
        return bool(operand)
    return operand
