"""What PostgreSQL needs to change a column's type: USING, and the default.

A cast must not depend on session settings: PostgreSQL reads a time without a zone as
one in the session's TimeZone, and MongoDB stores UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import types as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from .types import plain_type

# In this order: an Enum is a String, a Float may be a Numeric.
_KINDS: tuple[tuple[type[Any] | tuple[type[Any], ...], str], ...] = (
    (postgresql.ENUM, "enum"),
    (sa.ARRAY, "array"),
    (sa.JSON, "json"),
    ((sa.Uuid, postgresql.UUID), "uuid"),
    (sa.Boolean, "bool"),
    ((sa.Integer, sa.Numeric, sa.Float), "number"),
    (sa.DateTime, "timestamp"),
    (sa.Date, "date"),
    (sa.Time, "time"),
    ((sa.Interval, postgresql.INTERVAL), "interval"),
    ((sa.LargeBinary, postgresql.BYTEA), "bytes"),
    (sa.String, "text"),
)


_IN_UTC = {
    ("timestamp", "timestamptz"): "{name} AT TIME ZONE 'UTC'",
    ("timestamptz", "timestamp"): "{name} AT TIME ZONE 'UTC'",
    ("date", "timestamptz"): "{name}::timestamp AT TIME ZONE 'UTC'",
    ("timestamptz", "date"): "({name} AT TIME ZONE 'UTC')::date",
    ("date", "timestamp"): "{name}::{type}",
    ("timestamp", "date"): "{name}::date",
    ("time", "timetz"): "({name}::text || '+00')::{type}",
    ("timetz", "time"): "({name} AT TIME ZONE 'UTC')::{type}",
    ("timestamp", "time"): "{name}::{type}",
    ("timestamptz", "time"): "({name} AT TIME ZONE 'UTC')::{type}",
    ("date", "text"): "to_jsonb({name}) #>> '{{}}'",
    ("timestamp", "text"): "to_jsonb({name}) #>> '{{}}'",
    ("timestamptz", "text"): (
        "CASE WHEN isfinite({name}) THEN to_jsonb({name} AT TIME ZONE 'UTC') "
        "#>> '{{}}' || 'Z' ELSE {name}::text END"
    ),
    ("text", "timestamp"): "{name}::timestamptz AT TIME ZONE 'UTC'",
    ("bytes", "text"): r"'\x' || encode({name}, 'hex')",
}
"""Casts that do not depend on TimeZone, DateStyle or bytea_output. In JSON a time is
always written the same way."""

_DATES = {"timestamp", "timestamptz", "date", "time", "timetz"}
IN_UTC = {"timezone": "UTC"}
_ISO_IN_UTC = {"datestyle": "ISO, MDY", **IN_UTC}


class NoCast(ValueError):
    """PostgreSQL has no cast from one type to the other."""


def using(
    column: str, old: TypeEngine[Any], new: TypeEngine[Any], dialect: Dialect
) -> str | None:
    """Return the expression for ALTER COLUMN … TYPE … USING; None: none is needed.

    Raises NoCast. Source: pg_cast of PostgreSQL 18; any type becomes text by itself.
    """
    plain, target = plain_type(old, dialect), plain_type(new, dialect)
    before, after = _kind(plain), _kind(target)
    name = dialect.identifier_preparer.quote(column)
    type_name = target.compile(dialect=dialect)
    match before, after:
        case ("enum", "enum"):
            return f"{name}::text::{type_name}"
        case ("array", "array"):
            same = plain.compile(dialect=dialect) == type_name
            return f"{name}::{'text[]::' if same else ''}{type_name}"
        case (one, other) if one == other and one != "other":
            return None
        case (one, other) if (one, other) in _IN_UTC:
            return _IN_UTC[one, other].format(name=name, type=type_name)
        case (_, "text"):
            return None
        case ("bool", "number"):
            return f"{name}::integer"
        case ("number", "bool"):
            return f"{name} <> 0"
        case (kind, "array") if kind == _kind(_item(target, dialect)):
            return f"CASE WHEN {name} IS NOT NULL THEN ARRAY[{name}] END"
        case ("text", kind) if kind != "other":
            return f"{name}::{type_name}"
    raise NoCast(f"{plain.compile(dialect=dialect)} to {type_name}")


def settings(
    old: TypeEngine[Any], new: TypeEngine[Any], dialect: Dialect
) -> dict[str, str]:
    """Return the settings that a cast depends on, if USING does not replace them."""
    kinds = {*_kinds(old, dialect), *_kinds(new, dialect)}
    reads = _kind(plain_type(old, dialect)) == "text"
    found: dict[str, str] = {}
    if kinds & _DATES and (reads or "array" in kinds):  # otherwise `using` handles it
        found.update(_ISO_IN_UTC)
    if "interval" in kinds and kinds & {"text", "array"}:
        found["intervalstyle"] = "postgres"
    if "text" in kinds and isinstance(plain_type(old, dialect), sa.Float):
        found["extra_float_digits"] = "1"
    return found


def _kinds(type_: TypeEngine[Any], dialect: Dialect) -> Iterator[str]:
    plain = plain_type(type_, dialect)
    yield _kind(plain)
    if isinstance(plain, sa.ARRAY):
        yield from _kinds(plain.item_type, dialect)


def keeps_zone(type_: TypeEngine[Any], dialect: Dialect) -> bool | None:
    """Return whether times of a type have a zone; None if it is not a time type."""
    kinds = {*_kinds(type_, dialect)}
    if kinds & {"timestamptz", "timetz"}:
        return True
    return False if kinds & _DATES else None


def same_kind(old: TypeEngine[Any], new: TypeEngine[Any], dialect: Dialect) -> bool:
    """Return True if both types are numbers, or both text, …"""
    return len({_kind(plain_type(type_, dialect)) for type_ in (old, new)}) == 1


def both_text(old: TypeEngine[Any], new: TypeEngine[Any], dialect: Dialect) -> bool:
    """Return True if both types are text, of any length."""
    return {_kind(plain_type(type_, dialect)) for type_ in (old, new)} == {"text"}


def _item(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    assert isinstance(type_, sa.ARRAY)
    return plain_type(type_.item_type, dialect)


def _kind(type_: TypeEngine[Any]) -> str:
    while isinstance(type_, postgresql.DOMAIN):
        type_ = type_.data_type
    for family, kind in _KINDS:
        if isinstance(type_, family):
            has_zone = isinstance(type_, sa.DateTime | sa.Time) and type_.timezone
            return f"{kind}tz" if has_zone else kind
    return "other"
