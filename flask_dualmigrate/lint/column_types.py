"""What PostgreSQL does for a change of a column's type: rewrite, or lose something.

Source: PostgreSQL manual, ALTER TABLE, Notes; pg_cast; the support functions of
varchar, varbit, numeric, time, timestamp and interval. Each pair that is told here to
keep its rows as they are was tried (tests/integration/test_lint_facts.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TYPE = re.compile(
    r"(?P<base>[a-z_][\w .\"]*?)\s*(?:\((?P<args>[^)]*)\))?"
    r"(?P<zone>\s+with(?:out)?\s+time\s+zone)?\s*(?P<array>(?:\[\d*\])*)$"
)

_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "character varying": "varchar",
    "character": "char",
    "bpchar": "char",
    "decimal": "numeric",
    "float8": "double precision",
    "float": "double precision",
    "float4": "real",
    "bool": "boolean",
    "bit varying": "varbit",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "serial": "integer",
    "bigserial": "bigint",
}


@dataclass(frozen=True)
class SqlType:
    """A type, by the name that the manual gives it; args: numbers in its brackets."""

    base: str
    args: tuple[int, ...] = ()
    array: bool = False


def parse_type(text: str) -> SqlType:
    """Read the SQL of a type; one that is not known is its own name."""
    match = _TYPE.fullmatch(" ".join(text.lower().split()))
    if match is None:
        return SqlType(text.lower())
    zone = " ".join((match["zone"] or "").split())
    base = match["base"].strip()
    if zone == "with time zone" and base in ("timestamp", "time"):
        base = f"{base} with time zone"
    base = _ALIASES.get(base, base)
    args = tuple(int(n) for n in re.findall(r"\d+", match["args"] or ""))
    if base == "char" and not args:
        args = (1,)
    if base == "numeric" and len(args) == 1:
        args = (args[0], 0)
    return SqlType(base, args, bool(match["array"]))


_TIMES = frozenset(
    {
        *("time", "timestamp", "interval"),
        *("time with time zone", "timestamp with time zone"),
    }
)
_STAMPS = {"timestamp", "timestamp with time zone"}


def rewrites(old: str, new: str, *, utc: bool = False) -> bool:
    """Return whether ALTER COLUMN … TYPE writes each row of the table anew.

    utc: the session's TimeZone is UTC, by which a timestamp gets or loses its zone.
    """
    one, other = parse_type(old), parse_type(new)
    if one == other:
        return False
    if one.array or other.array:
        return True  # an array is cast as a whole, even where its elements are not
    if one.base == other.base:
        return not _widens(one, other)
    if {one.base, other.base} == _STAMPS:
        return not (utc and _no_less_exact(one, other))
    if other.base == "text":
        return one.base != "varchar"
    if one.base == "text":
        return other.base != "varchar" or bool(other.args)
    return (one.base, other.base) != ("cidr", "inet")


def _widens(one: SqlType, other: SqlType) -> bool:
    """Return whether all values of one type are such of the other, as they stand."""
    if one.base in ("varchar", "varbit"):
        return not other.args or (bool(one.args) and other.args >= one.args)
    if one.base == "numeric":
        if not other.args or not one.args:
            return not other.args
        return one.args[1] == other.args[1] and other.args[0] >= one.args[0]
    return one.base in _TIMES and _no_less_exact(one, other)


def _no_less_exact(one: SqlType, other: SqlType) -> bool:
    return (other.args or (6,)) >= (one.args or (6,))


_WHOLE = ("smallint", "integer", "bigint")
_FLOATS = {"real": 0, "double precision": 1, "numeric": 2}
_DATED = {"date", *_STAMPS}


def narrows(old: str, new: str, *, using: str | None) -> str | None:
    """Return what values lose by a change of type, without an error; None: nothing.

    using: the expression that makes the new value; without one PostgreSQL refuses
    texts that are too long.
    """
    one, other = parse_type(old), parse_type(new)
    if one.base in _FLOATS and other.base in _WHOLE:
        return "the digits behind the point are rounded away"
    if one.base in _FLOATS and other.base in _FLOATS:
        return _narrower_number(one, other)
    if one.base in _DATED and other.base in ("date", "time", "time with time zone"):
        return "the time of day goes" if other.base == "date" else "the day goes"
    if one.base in _TIMES and not _no_less_exact(one, other):
        return "fractions of a second are rounded away"
    if other.base == "boolean" and one.base != "boolean":
        return "all values become true or false"
    if using is not None and other.base in ("varchar", "char") and other.args:
        return _cut(one, other)
    return None


def _narrower_number(one: SqlType, other: SqlType) -> str | None:
    if _FLOATS[other.base] < _FLOATS[one.base]:
        return "digits go that the new type has no room for"
    if other.base != "numeric" or not other.args:
        return None
    scale = one.args[1] if one.args else None
    if one.base != "numeric" or scale is None or other.args[1] < scale:
        return f"digits behind place {other.args[1]} are rounded away"
    return None


def _cut(one: SqlType, other: SqlType) -> str | None:
    is_text = one.base in ("varchar", "char", "text")
    if is_text and (not one.args or one.args > other.args):
        return f"texts are cut at {other.args[0]} characters"
    return None
