"""What changing a column's type makes PostgreSQL do: rewrite rows, or lose values.

Source: PostgreSQL manual, ALTER TABLE, Notes; pg_cast; the support functions of
varchar, varbit, numeric, time, timestamp and interval. Each pair that is said here to
leave its rows as they are was tried (tests/integration/linter/test_facts.py).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.types import TypeEngine

_make_dialect: Any = PGDialect
DIALECT: PGDialect = _make_dialect(paramstyle="named")


@functools.cache
def _of_class(type_: type[TypeEngine[Any]]) -> str | None:
    return sql_type(type_())


def sql_type(type_: Any) -> str | None:
    """Return PostgreSQL's name for a type, in lower case; None if it has no name."""
    if isinstance(type_, type):
        return _of_class(type_)
    try:
        return str(DIALECT.type_compiler_instance.process(type_)).lower()
    except Exception:  # An incomplete type of the app's own: nothing is known about it.
        return None


_TYPE = re.compile(
    r"(?P<base>[a-z_][\w .\"]*?)\s*(?:\((?P<args>[^)]*)\))?"
    r"(?P<zone>\s+with(?:out)?\s+time\s+zone)?\s*(?P<array>(?:\[\d*\])*)$"
)

_COLLATION = re.compile(r" collate \S+")

_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "character varying": "varchar",
    "character": "char",
    "decimal": "numeric",
    "float8": "double precision",
    "float": "double precision",
    "float4": "real",
    "bool": "boolean",
    "national character varying": "varchar",
    "national character": "char",
    "bit varying": "varbit",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
    "serial": "integer",
    "bigserial": "bigint",
}


@dataclass(frozen=True)
class SqlType:
    """A type under the name in the manual; args: the numbers in its parentheses."""

    base: str
    args: tuple[int, ...] = ()
    array: bool = False


def parse_type(text: str) -> SqlType:
    """Parse a type's SQL without its collation; an unknown type keeps its own name."""
    plain = _COLLATION.sub("", " ".join(text.lower().split()))
    match = _TYPE.fullmatch(plain)
    if match is None:
        return SqlType(text.lower())
    zone = " ".join((match["zone"] or "").split())
    base = match["base"].strip()
    if zone == "with time zone" and base in ("timestamp", "time"):
        base = f"{base} with time zone"
    base = _ALIASES.get(base, base)
    args = tuple(int(n) for n in re.findall(r"-?\d+", match["args"] or ""))
    if base == "char" and not args:
        args = (1,)
    if base == "numeric" and len(args) == 1:
        args = (args[0], 0)
    return SqlType(base, args, bool(match["array"]))


TIMES = frozenset(
    {
        *("time", "timestamp", "interval"),
        *("time with time zone", "timestamp with time zone"),
    }
)
STAMPS = {"timestamp", "timestamp with time zone"}


def rewrites(old: str, new: str, *, utc: bool = False) -> bool:
    """Return whether ALTER COLUMN … TYPE rewrites each row of the table.

    utc: the session's TimeZone, used to add or remove a timestamp's zone, is UTC.
    """
    one, other = parse_type(old), parse_type(new)
    if one == other:
        return False
    if one.array or other.array:
        return True  # an array is cast as a whole, even if its elements are not
    if one.base == other.base:
        return not _widens(one, other)
    if {one.base, other.base} == STAMPS:
        return not (utc and no_less_exact(one, other))
    if other.base == "text":
        return one.base != "varchar"
    if one.base == "text":
        return other.base != "varchar" or bool(other.args)
    return (one.base, other.base) != ("cidr", "inet")


def _widens(one: SqlType, other: SqlType) -> bool:
    """Return whether all values of one type are valid, unchanged, in the other."""
    if one.base in ("varchar", "varbit"):
        return not other.args or (bool(one.args) and other.args >= one.args)
    if one.base == "numeric":
        if not other.args or not one.args:
            return not other.args
        return one.args[1] == other.args[1] and other.args[0] >= one.args[0]
    return one.base in TIMES and no_less_exact(one, other)


def no_less_exact(one: SqlType, other: SqlType) -> bool:
    """Return whether a time keeps all its fractional digits of seconds."""
    return (other.args or (6,)) >= (one.args or (6,))
