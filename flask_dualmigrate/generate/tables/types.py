"""Which BSON type corresponds to a column's type, and how to convert between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import types as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from ...ops.base import MISSING


def plain_dialect(dialect: Dialect) -> Dialect:
    """Return a dialect that writes SQL for scripts: percent signs are not doubled."""
    if dialect.paramstyle not in ("format", "pyformat"):
        return dialect
    plain = _plain.get(dialect)
    if plain is None:
        plain = type(dialect)(paramstyle="named")  # type: ignore[call-arg]
        _plain[dialect] = plain
    plain.default_schema_name = dialect.default_schema_name
    return plain


# One for each: a dialect remembers the types that it has adapted.
_plain: WeakKeyDictionary[Dialect, Dialect] = WeakKeyDictionary()


@dataclass(frozen=True)
class Bson:
    """The BSON type of a column's values in a document.

    name: the family; to: the alias for convert_field, None if MongoDB cannot convert to
    it; aliases: the BSON types of such values; item: the type of an array's items.
    """

    name: str
    aliases: tuple[str, ...]
    to: str | None = None
    item: Bson | None = None

    @property
    def word(self) -> str:
        """Its name in comments: "string", "number", "date"."""
        partial = self.partial
        return partial if isinstance(partial, str) else self.name

    @property
    def partial(self) -> str | list[str]:
        """The $type of values that are not null, for a partial index."""
        if set(self.aliases) <= {"int", "long", "double", "decimal"}:
            return "number"
        return self.aliases[0] if len(self.aliases) == 1 else list(self.aliases)


STRING = Bson("string", ("string",), "string")
TIME = Bson("time", ("string",))
INT = Bson("int", ("int", "long"), "int")
LONG = Bson("long", ("int", "long"), "long")
DOUBLE = Bson("double", ("double", "int", "long"), "double")
DECIMAL = Bson("decimal", ("decimal",), "decimal")
BOOL = Bson("bool", ("bool",), "bool")
DATETIME = Bson("datetime", ("date",), "date")
DATE = Bson("date", ("date",), "date")
BINARY = Bson("binary", ("binData",))
UUID = Bson("uuid", ("binData",))
OBJECT = Bson("object", ("object",))
JSON = Bson("json", ("object", "array", "string", "number", "bool"))
ARRAY = Bson("array", ("array",))
UNKNOWN = Bson(
    "unknown",
    ("string", "number", "bool", "date", "binData", "object", "array", "objectId"),
)

_TEXTS = (
    sa.String,
    postgresql.INET,
    postgresql.CIDR,
    postgresql.MACADDR,
    postgresql.MACADDR8,
    postgresql.CITEXT,
)
# In this order: an Enum is a String, a BigInteger an Integer, a Float a Numeric.
_FAMILIES: tuple[tuple[type[Any] | tuple[type[Any], ...], Bson], ...] = (
    (sa.Enum, STRING),
    (postgresql.TSVECTOR, UNKNOWN),
    (_TEXTS, STRING),
    (sa.Boolean, BOOL),
    (sa.BigInteger, LONG),
    (sa.Integer, INT),
    (sa.Float, DOUBLE),
    (sa.Numeric, DECIMAL),
    (sa.DateTime, DATETIME),
    (sa.Date, DATE),
    (sa.Time, TIME),
    (sa.LargeBinary, BINARY),
    (postgresql.BYTEA, BINARY),
    (postgresql.HSTORE, OBJECT),
    (sa.JSON, JSON),
)


def plain_type(type_: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    """Return the type that the database sees: undecorated, the dialect's variant."""
    impl = type_.dialect_impl(dialect)
    while isinstance(impl, TypeDecorator):
        impl = impl.load_dialect_impl(dialect).dialect_impl(dialect)
    return impl


def bson_type(type_: TypeEngine[Any], dialect: Dialect) -> Bson:
    """Return the BSON type of a column's values in a document."""
    plain = plain_type(type_, dialect)
    if isinstance(plain, postgresql.DOMAIN):
        return bson_type(plain.data_type, dialect)
    if isinstance(plain, sa.ARRAY):
        item = bson_type(plain.item_type, dialect)
        return Bson("array", ("array",), "array", item)
    if isinstance(plain, sa.Uuid):
        return UUID if plain.as_uuid else STRING
    if isinstance(plain, sa.Float | sa.Numeric) and not plain.asdecimal:
        return DOUBLE
    for family, bson in _FAMILIES:
        if isinstance(plain, family):
            return bson
    return UNKNOWN


@dataclass(frozen=True)
class Conversion:
    """How a field becomes another type.

    to: for convert_field; None: the documents stay as they are. using: the expression,
    if $convert alone would not do what PostgreSQL's cast does.
    """

    to: str | None
    using: Any = MISSING


NO_CONVERSION = Conversion(None)

_TO_NUMBER = {
    "int": "$toInt",
    "long": "$toLong",
    "double": "$toDouble",
    "decimal": "$toDecimal",
}
# Where convert_field does the same as PostgreSQL's cast, or refuses to lose anything.
_CONVERT = {
    ("int", "double"),
    ("int", "decimal"),
    ("int", "bool"),
    ("string", "bool"),
    ("double", "int"),
    ("double", "decimal"),
    ("decimal", "int"),
    ("decimal", "double"),
    ("decimal", "bool"),
    ("double", "bool"),
    *((number, "string") for number in ("int", "double", "decimal", "bool")),
    *(("string", number) for number in ("int", "double", "decimal")),
    ("datetime", "string"),
    ("string", "datetime"),
    ("string", "date"),
}
_SAME = {
    frozenset({"int", "long"}),
    frozenset({"string", "time"}),
}


def conversion(old: Bson, new: Bson, field: str) -> Conversion | None:
    """Return how a field of one type becomes another; None if that is not known.

    field: its name, for the expression.
    """
    if old.name == "array" and new.name == "array":
        return _convert_items(old, new, field)
    if old.name == new.name and old.name != "unknown":
        return NO_CONVERSION
    if frozenset({old.name, new.name}) in _SAME or (old, new) == (DATE, DATETIME):
        return NO_CONVERSION
    if (old, new) == (DATETIME, DATE):
        trunc = {"$dateTrunc": {"date": f"${field}", "unit": "day"}}
        return Conversion("date", trunc)
    if (old, new) == (DATE, STRING):
        text = {"$dateToString": {"date": f"${field}", "format": "%Y-%m-%d"}}
        return Conversion("string", text)
    if old == BOOL and new.name in _TO_NUMBER:
        # convert_field refuses to convert true to 1; PostgreSQL does it.
        return Conversion(new.to, {_TO_NUMBER[new.name]: f"${field}"})
    if new.name == "array" and new.item is not None and new.item.name == old.name:
        return Conversion("array", [f"${field}"])
    if (_short(old), _short(new)) in _CONVERT:
        return Conversion(new.to)
    return None


def _short(bson: Bson) -> str:
    return "int" if bson.name == "long" else bson.name


def _convert_items(old: Bson, new: Bson, field: str) -> Conversion | None:
    if old.item is None or new.item is None:
        return NO_CONVERSION if old.item == new.item else None
    inner = conversion(old.item, new.item, "$item")
    if inner is None or inner.to is None:
        return inner
    each = inner.using
    if each is MISSING:
        each = {"$convert": {"input": "$$item", "to": inner.to}}
    each = {"$map": {"input": f"${field}", "as": "item", "in": each}}
    return Conversion("array", each)
