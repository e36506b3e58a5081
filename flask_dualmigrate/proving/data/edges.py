"""Values of a type: plain ones and edge cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

_LONG = 100_000
"""Characters in a very long text if its column has no limit."""

_TEXTS = (
    "",
    " ",
    "Äß 漢字 🙂",
    "e\u0301\u202e",
    "'\"\\%_$`;--{}",
    "null",
    "0",
    "x" * _LONG,
)
_EPOCH = datetime(1970, 1, 1)
_TIMES = (
    datetime(1, 1, 1),
    _EPOCH,
    datetime(2000, 2, 29, 23, 59, 59, 999_999),
    datetime(2038, 1, 19, 3, 14, 8),
    datetime(9999, 12, 31, 23, 59, 59, 999_999),
)
_NESTED = {"a": {"b": [1, None, "ü", {}]}, "": 0.1, "9007199254740993": 2**53}


def plain(type_: TypeEngine[Any], number: int) -> Any:
    """Return an ordinary value, a different one for each number if possible.

    Raises LookupError for a type with no known values.
    """
    for kind, make in _PLAIN:
        if isinstance(type_, kind):
            return make(type_, number)
    raise LookupError(repr(type_))


def edges(type_: TypeEngine[Any]) -> Sequence[Any]:
    """Return the edge values of a type, without NULL."""
    for kind, make in _EDGES:
        if isinstance(type_, kind):
            return make(type_)
    return ()


def _text(type_: Any, number: int) -> str:
    """Return digits, so that the text can later be converted to a number."""
    text = str(number)
    return text if type_.length is None else text[-type_.length :]


def _texts(type_: Any) -> list[str]:
    length = type_.length
    return list(dict.fromkeys(text[:length] for text in _TEXTS))


def _integers(bits: int) -> Callable[[Any], list[int]]:
    highest = 2 ** (bits - 1) - 1
    return lambda type_: [0, -1, highest, -highest - 1]


def _numbers(type_: Any) -> list[Decimal]:
    if type_.precision is None:
        return [Decimal(0), Decimal(10) ** 30, -(Decimal(10) ** 30), Decimal("1E-30")]
    scale = type_.scale or 0
    highest = (Decimal(10) ** type_.precision - 1).scaleb(-scale)
    return [Decimal(0), Decimal(1).scaleb(-scale), highest, -highest]


def _number(type_: Any, number: int) -> Decimal:
    digits = 9 if type_.precision is None else type_.precision - (type_.scale or 0)
    return Decimal(number % 10 ** max(digits, 1)) if digits else Decimal(0)


def _times(type_: Any) -> list[datetime]:
    zone = UTC if type_.timezone else None
    return [moment.replace(tzinfo=zone) for moment in _TIMES]


def _time(type_: Any, number: int) -> datetime:
    moment = datetime(2024, 1, 1, 12) + timedelta(minutes=number)
    return moment.replace(tzinfo=UTC if type_.timezone else None)


def _items(type_: Any) -> list[list[Any]]:
    return [[], list(edges(type_.item_type)), [None]]


_PLAIN: tuple[tuple[Any, Callable[[Any, int], Any]], ...] = (
    (sa.Enum, lambda type_, n: type_.enums[n % len(type_.enums)]),
    (postgresql.CITEXT, lambda type_, n: f"text {n}"),
    (
        (postgresql.INET, postgresql.CIDR),
        lambda type_, n: f"10.0.{n // 256 % 256}.{n % 256}",
    ),
    (sa.String, _text),
    (sa.Boolean, lambda type_, n: n % 2 == 0),
    (sa.SmallInteger, lambda type_, n: n % 2**15),
    (sa.Integer, lambda type_, n: n),
    (sa.Float, lambda type_, n: n + 0.5),
    (sa.Numeric, _number),
    (sa.DateTime, _time),
    (sa.Date, lambda type_, n: date(2024, 1, 1) + timedelta(days=n)),
    (sa.Time, lambda type_, n: time(n % 24, n % 60)),
    (sa.Interval, lambda type_, n: timedelta(minutes=n)),
    (postgresql.INTERVAL, lambda type_, n: timedelta(minutes=n)),
    (
        sa.Uuid,
        lambda type_, n: UUID(int=n + 1) if type_.as_uuid else str(UUID(int=n + 1)),
    ),
    (sa.LargeBinary, lambda type_, n: f"bytes {n}".encode()),
    (postgresql.BYTEA, lambda type_, n: f"bytes {n}".encode()),
    (postgresql.HSTORE, lambda type_, n: {"key": str(n)}),
    (sa.JSON, lambda type_, n: {"number": n}),
    (sa.ARRAY, lambda type_, n: [plain(type_.item_type, n)]),
)
_BYTES = [b"", bytes(range(256)), b"\0" * _LONG]
_INTERVALS = [timedelta(0), timedelta(days=-1), timedelta(days=100_000)]
_EDGES: tuple[tuple[Any, Callable[[Any], Sequence[Any]]], ...] = (
    (sa.Enum, lambda type_: type_.enums),
    ((postgresql.INET, postgresql.CIDR), lambda type_: ["0.0.0.0", "::1"]),
    (sa.String, _texts),
    (sa.Boolean, lambda type_: [True, False]),
    (sa.SmallInteger, _integers(16)),
    (sa.BigInteger, _integers(64)),
    (sa.Integer, _integers(32)),
    (sa.Float, lambda type_: [0.0, -0.0, 0.1, 1e308, 5e-324, float("inf")]),
    (sa.Numeric, _numbers),
    (sa.DateTime, _times),
    (sa.Date, lambda type_: [moment.date() for moment in _TIMES]),
    (sa.Time, lambda type_: [time(0), time(23, 59, 59, 999_999)]),
    ((sa.Interval, postgresql.INTERVAL), lambda type_: _INTERVALS),
    (
        sa.Uuid,
        lambda type_: [
            value if type_.as_uuid else str(value)
            for value in (UUID(int=0), UUID(int=2**128 - 1))
        ],
    ),
    ((sa.LargeBinary, postgresql.BYTEA), lambda type_: _BYTES),
    (postgresql.HSTORE, lambda type_: [{}, {"": None}]),
    (sa.JSON, lambda type_: [{}, [], "", 0, False, _NESTED]),
    (sa.ARRAY, _items),
)
