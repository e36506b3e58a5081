"""What PostgreSQL must be told to change a column's type: USING, and the default."""

from __future__ import annotations

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
    ((sa.DateTime, sa.Date), "date"),
    (sa.Time, "time"),
    ((sa.Interval, postgresql.INTERVAL), "interval"),
    ((sa.LargeBinary, postgresql.BYTEA), "bytes"),
    (sa.String, "text"),
)


class NoCast(ValueError):
    """PostgreSQL has no cast from the one type to the other."""


def using(
    column: str, old: TypeEngine[Any], new: TypeEngine[Any], dialect: Dialect
) -> str | None:
    """Return the expression for ALTER COLUMN … TYPE … USING; None: none is needed.

    Raises NoCast. Source: pg_cast of PostgreSQL 18; any type becomes a text by itself.
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


def same_kind(old: TypeEngine[Any], new: TypeEngine[Any], dialect: Dialect) -> bool:
    """Return True if both types are numbers, or both texts, …"""
    return len({_kind(plain_type(type_, dialect)) for type_ in (old, new)}) == 1


def both_text(old: TypeEngine[Any], new: TypeEngine[Any], dialect: Dialect) -> bool:
    """Return True if both types are texts, of any length."""
    return {_kind(plain_type(type_, dialect)) for type_ in (old, new)} == {"text"}


def _item(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    assert isinstance(type_, sa.ARRAY)
    return plain_type(type_.item_type, dialect)


def _kind(type_: TypeEngine[Any]) -> str:
    for family, kind in _KINDS:
        if isinstance(type_, family):
            return kind
    return "other"
