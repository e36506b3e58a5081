"""What values lose when a column's type changes; a wider type loses nothing.

Types are compared by their PostgreSQL names, whatever declared them: a reflected type,
an enum stored as text, the app's own TypeDecorator. Source: PostgreSQL manual, Data
Types and Numeric Types; each pair was tried
(tests/integration/alembic_scripts/test_narrowing_facts.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import types as sa

from .column_types import STAMPS, TIMES, SqlType, no_less_exact, parse_type, sql_type

_REFUSED = "values that do not fit are cut, rounded or refused"


def loss(old: str, new: str, *, using: str | None = None) -> str | None:
    """Return in words what values lose in a change of type; None: nothing.

    old, new: SQL types. using: the expression that computes the new value; without one
    PostgreSQL rejects text that is too long.
    """
    one, other = parse_type(old), parse_type(new)
    if one.array and not other.array:
        return None if _room(other) is None else _REFUSED
    silent = _rounded(one, other) or (using is not None and _cut(one, other)) or None
    if silent is not None:
        return f"{silent}, permanently and without an error"
    return None if _holds(one, other) else _REFUSED


def narrows(old: Any, new: Any) -> bool:
    """Return whether a value of the old type may be truncated, rounded or rejected.

    old, new: SQLAlchemy types; for anything else nothing is known, so False.
    """
    if not (_is_type(old) and _is_type(new)) or labels_fit(old, new):
        return False
    if isinstance(old, sa.Enum) and isinstance(new, sa.Enum):
        return True
    one, other = sql_type(old), sql_type(new)
    return one is not None and other is not None and loss(one, other) is not None


def labels_fit(old: Any, new: Any) -> bool:
    """Return whether the new type has room for each label of the old enum."""
    if not isinstance(old, sa.Enum):
        return False
    if isinstance(new, sa.Enum):
        return set(old.enums) <= set(new.enums)
    room = _room(parse_type(sql_type(new) or ""))
    return room is None or room >= max(map(len, old.enums), default=0)


def _is_type(value: Any) -> bool:
    kind = value if isinstance(value, type) else type(value)
    return issubclass(kind, sa.TypeEngine)


_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_BYTES = {"smallint": 2, "integer": 4, "bigint": 8}
_EXACT = {"real": 7, "double precision": 15}
"""Number of digits up to which the float type represents every integer exactly."""
_FLOATS = {"real": 0, "double precision": 1, "numeric": 2}
_DATED = {"date", *STAMPS}
_ZONED = {"timestamp with time zone", "time with time zone"}
_TEXTS = {"text", "varchar", "char", "bpchar", "citext"}
_BITS = {"bit", "varbit"}

_LENGTHS = {
    **{"smallint": 6, "integer": 11, "bigint": 20, "boolean": 5, "date": 13},
    **{"uuid": 36, "inet": 49, "cidr": 49, "macaddr": 17, "macaddr8": 23},
    **{"timestamp": 29, "timestamp with time zone": 38, "time": 15},
    **{"time with time zone": 24, "real": 15, "double precision": 24},
}
"""The maximum length of a value as text, in characters."""

_WIDER = {
    *(("cidr", "inet"), ("macaddr", "macaddr8"), ("json", "jsonb"), ("jsonb", "json")),
    *(("date", "timestamp"), ("date", "timestamp with time zone")),
    *(("timestamp", "timestamp with time zone"), ("time", "interval")),
    *(("time", "time with time zone"), ("real", "double precision")),
    *(("boolean", number) for number in (*_DIGITS, "numeric")),
}
"""Pairs of families that keep every value, if fractional seconds fit."""


def _rounded(one: SqlType, other: SqlType) -> str | None:
    """Return what is lost without an error, whatever USING says."""
    if one.base in _FLOATS and other.base in _DIGITS:
        whole = one.base == "numeric" and bool(one.args) and one.args[1] <= 0
        return None if whole else "digits after the decimal point are rounded away"
    if one.base in _FLOATS and other.base in _FLOATS:
        return _less_exact_number(one, other)
    if one.base in _DATED and other.base in ("date", "time", "time with time zone"):
        if one.base == other.base:
            return None
        return "the time of day is lost" if other.base == "date" else "the date is lost"
    if one.base in TIMES and other.base in TIMES and not no_less_exact(one, other):
        return "fractions of a second are rounded away"
    if one.base in _ZONED and other.base in TIMES - _ZONED:
        return "the time zone is lost"
    if other.base == "boolean" and one.base != "boolean":
        return "all values become true or false"
    return None


def _less_exact_number(one: SqlType, other: SqlType) -> str | None:
    if one.base == other.base != "numeric":
        return None
    if other.base != "numeric":
        smaller = _FLOATS[other.base] < _FLOATS[one.base]
        return "digits that do not fit in the new type are lost" if smaller else None
    if one.base != "numeric":
        digits = 6 if one.base == "real" else 15
        return f"digits beyond the first {digits} are rounded away"
    if other.args and (not one.args or other.args[1] < one.args[1]):
        return f"digits after decimal place {other.args[1]} are rounded away"
    return None


def _cut(one: SqlType, other: SqlType) -> str | None:
    room = _room(other)
    if one.base not in _TEXTS or room is None or _holds(one, other):
        return None
    return f"texts are cut at {room} characters"


def _room(type_: SqlType) -> int | None:
    """Return how many characters a text type can hold; None: any number."""
    if type_.base not in _TEXTS:
        return 0
    return type_.args[0] if type_.args else None


def _holds(one: SqlType, other: SqlType) -> bool:
    """Return whether one type can hold each value of the other, apart from rounding."""
    if other.base in _TEXTS:
        room = _room(other)
        return room is None or (_length(one) or room + 1) <= room
    if one.base in _DIGITS and other.base in _DIGITS:
        return _BYTES[one.base] <= _BYTES[other.base]
    if one.base in _DIGITS and other.base in _EXACT:
        return _DIGITS[one.base] <= _EXACT[other.base]
    if "numeric" in (one.base, other.base):
        return _holds_number(one, other)
    if one.base in _BITS and other.base in _BITS:
        return _holds_bits(one, other)
    if one.base.startswith("interval ") and other.base == "interval":
        return True
    return one.base == other.base or (one.base, other.base) in _WIDER


def _length(type_: SqlType) -> int | None:
    """Return the maximum length of a value as text; None if it is not known."""
    if type_.base == "numeric" and type_.args:
        digits, scale = type_.args
        return 1 + max(digits - scale, 1) + (1 + scale if scale > 0 else 0)
    if type_.base in _TEXTS | _BITS:
        return type_.args[0] if type_.args else None
    return _LENGTHS.get(type_.base)


def _holds_number(one: SqlType, other: SqlType) -> bool:
    if other.base != "numeric":
        return bool(one.args) and one.args[0] - one.args[1] < _DIGITS.get(other.base, 0)
    if not other.args:
        return one.base in {*_DIGITS, *_FLOATS, "boolean"}
    room, scale = other.args[0] - other.args[1], 0
    whole = 1 if one.base == "boolean" else _DIGITS.get(one.base)
    if one.base == "numeric" and one.args:
        whole, scale = one.args[0] - one.args[1], one.args[1]
    return whole is not None and whole <= room and scale <= other.args[1]


def _holds_bits(one: SqlType, other: SqlType) -> bool:
    if other.base == "bit":
        return one == other
    return not other.args or (bool(one.args) and one.args <= other.args)
