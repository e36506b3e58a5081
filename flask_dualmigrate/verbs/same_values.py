"""Comparing the values of a row and a document, whatever driver read them."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from bson import Binary, Decimal128, Regex

Canonical = Hashable
Read = Callable[[Any], Canonical]


def canonical(value: Any) -> Canonical:
    """Return a value, preceded by its kind, in a form that both sides share.

    Times are in UTC and cut to milliseconds, as BSON keeps them; numbers are compared
    by value, whatever their type.
    """
    for kinds, read in _READERS:
        if isinstance(value, kinds):
            return read(value)
    return (type(value).__name__, repr(value))


def variants(key: Any) -> list[Any]:
    """Return what the `_id` of a row's key may be in BSON."""
    if isinstance(key, uuid.UUID):
        return [Binary.from_uuid(key), str(key)]
    if isinstance(key, decimal.Decimal):
        return [Decimal128(key), int(key)] if key == int(key) else [Decimal128(key)]
    if isinstance(key, datetime.datetime | int | str | bytes | float):
        return [key]
    return []


def _number(value: Any) -> Canonical:
    number = decimal.Decimal(repr(value) if isinstance(value, float) else value)
    return ("number", str(number) if number.is_nan() else number)


def _moment(value: datetime.datetime) -> Canonical:
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return ("date", value.replace(microsecond=value.microsecond // 1000 * 1000))


def _day(value: datetime.date) -> Canonical:
    return ("date", datetime.datetime(*value.timetuple()[:3]))


def _binary(value: Binary) -> Canonical:
    return ("uuid", str(value.as_uuid())) if value.subtype == 4 else _bytes(value)


def _bytes(value: Any) -> Canonical:
    return ("bytes", bytes(value))


def _document(value: Mapping[str, Any]) -> Canonical:
    items = ((str(key), canonical(item)) for key, item in value.items())
    return ("document", frozenset(items))


# In this order: a bool is an int, a datetime a date, a Binary bytes.
_READERS: tuple[tuple[Any, Read], ...] = (
    (type(None), lambda value: ("null",)),
    (bool, lambda value: ("bool", value)),
    (Decimal128, lambda value: _number(value.to_decimal())),
    ((int, float, decimal.Decimal), _number),
    (str, lambda value: ("text", str(value))),
    (uuid.UUID, lambda value: ("uuid", str(value))),
    (Binary, _binary),
    ((bytes, bytearray, memoryview), _bytes),
    (datetime.datetime, _moment),
    (datetime.date, _day),
    (datetime.time, lambda value: ("text", value.isoformat())),
    (Mapping, _document),
    ((list, tuple), lambda value: ("array", tuple(map(canonical, value)))),
    (Regex, lambda value: ("regex", value.pattern)),
)
