"""Filters for ranges of `_id`s, and how they are combined with others.

`{_id: {$gt: x}}` compares within the type of x, by the bounds of an index scan that
reads no document. `$expr` compares all BSON types, but reads each document to do so. So
a range uses the first form if both its ends are of one type, which is right whatever
lies between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any

from bson import Decimal128
from bson.raw_bson import RawBSONDocument

from ..server.views import as_bytes
from .id_list import IdList
from .raw_bson import Element, as_document

Query = Mapping[str, Any]

_NUMBERS = {0x01, 0x10, 0x12, 0x13}
_ORDERS: Mapping[int, Callable[[bytes], Any]] = {
    0x05: lambda value: (int.from_bytes(value[:4], "little"), value[4:]),
    0x07: bytes,
    0x09: lambda value: int.from_bytes(value, "little", signed=True),
}
"""How the server orders the stored values of a type."""

_OTHERS = {0x02: "string", 0x05: "binData", 0x07: "objectId", 0x09: "date"}


def range_of(place: Mapping[str, Any]) -> Query:
    """Return the filter for the `_id`s after `last` and up to `until`.

    Either may be missing: the range is then open at that end.
    """
    if {"last", "until"} <= place.keys():
        kind = _kind_of(place["last"])
        if kind is not None and kind == _kind_of(place["until"]):
            return {"_id": {"$gt": place["last"], "$lte": place["until"]}}
    tests = []
    if "last" in place:
        tests.append({"$gt": ["$_id", {"$literal": place["last"]}]})
    if "until" in place:
        tests.append({"$lte": ["$_id", {"$literal": place["until"]}]})
    return {"$expr": {"$and": tests}} if tests else {}


def after(last: Element) -> Query:
    """Return the filter for the `_id`s after one, which keeps its exact bytes."""
    literal = RawBSONDocument(as_document(last.named("$literal").bytes))
    return {"$expr": {"$gt": ["$_id", literal]}}


def beginnings_of(place: Mapping[str, Any]) -> Iterator[Query]:
    """Yield filters for the beginning of a range, quickest first.

    What the first one finds comes before everything else in the range; use the next one
    only if that is not enough.
    """
    whole = range_of(place)
    if "$expr" in whole and "last" in place and _kind_of(place["last"]) is not None:
        yield {"_id": {"$gt": place["last"]}}
    yield whole


def both(*queries: Query) -> Query:
    """Return the filter for documents that match all of these."""
    filled = [query for query in queries if query]
    return {"$and": filled} if len(filled) > 1 else (filled or [{}])[0]


def ids_in(ids: Sequence[Any]) -> Query:
    """Return the filter for documents by their `_id`s.

    It includes the list's bounds: MongoDB 6.0 scans a clustered collection for `$in`.
    """
    ids = IdList.like(ids)
    test = as_document(ids.named("$in"), *_bounds_of(ids))
    return {"_id": RawBSONDocument(test)}


def _bounds_of(ids: IdList) -> Iterable[bytes]:
    """Return the tests for the smallest and the largest of some `_id`s.

    None if they are of several types, of a type that is left to `$expr`, or strings,
    which each collection orders by its own collation.
    """
    found = list(ids.elements)
    kinds = {each.kind for each in found}
    if kinds and kinds <= _NUMBERS:
        ordered = [*zip(map(_number_of, ids), found, strict=True)]
        if any(number is None for number, _ in ordered):
            return ()
    elif len(kinds) == 1 and kinds <= _ORDERS.keys():
        order = _ORDERS[found[0].kind]
        ordered = [(order(each.value), each) for each in found]
    else:
        return ()
    _, least = min(ordered, key=itemgetter(0))
    _, greatest = max(ordered, key=itemgetter(0))
    return least.named("$gte").bytes, greatest.named("$lte").bytes


def _kind_of(value: Any) -> str | None:
    """Return the type of an `_id` for comparisons: all numbers are one type.

    None for the types that are left to `$expr`, and for NaN: `{$gt: NaN}` finds
    nothing, though NaN comes before all other numbers.
    """
    code = as_bytes(value)[4]
    if code in _NUMBERS:
        return None if _number_of(value) is None else "number"
    return _OTHERS.get(code)


def _number_of(value: Any) -> Decimal | float | None:
    """Return a number as Python compares it with others, exactly; None for NaN."""
    number = value.to_decimal() if isinstance(value, Decimal128) else value
    is_nan = isinstance(number, Decimal | float) and number != number
    return None if is_nan else number
