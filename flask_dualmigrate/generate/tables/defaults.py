"""A column's default as a BSON value."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from bson import Binary, Decimal128
from sqlalchemy import Column, ColumnDefault, Computed, Identity, Sequence
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import DefaultClause
from sqlalchemy.types import Enum, TypeEngine

from ...ops.base import NOW
from ...sql import expressions
from ...sql import tokens as sql_tokens
from .types import Bson, bson_type, plain_type

_TRUE = ("t", "true", "y", "yes", "on", "1")
_FALSE = ("f", "false", "n", "no", "off", "0")
CLOCKS = (
    "now",
    "current_timestamp",
    "localtimestamp",
    "transaction_timestamp",
    "statement_timestamp",
    "clock_timestamp",
    "current_date",
)
_INT64 = range(-(2**63), 2**63)


class NoValue(ValueError):
    """A default has no BSON value that can be determined here; the message says why."""


class Today:
    """The type of TODAY: midnight (UTC) of the day when the batch runs."""


TODAY = Today()


def default_sql(default: Any, dialect: Dialect) -> str | None:
    """Return a server default as SQL; None if it is a plain string literal.

    Raises NoValue for what the server computes or numbers itself.
    """
    if isinstance(default, Computed):
        raise NoValue("it is computed from other columns")
    if isinstance(default, Identity | Sequence):
        raise NoValue("it is numbered by a sequence")
    if not isinstance(default, DefaultClause):
        raise NoValue("the server generates it, and the model does not say how")
    if isinstance(default.arg, str):
        return None
    compiled = default.arg.compile(
        dialect=dialect, compile_kwargs={"literal_binds": True}
    )
    return str(compiled)


def server_value(default: Any, type_: TypeEngine[Any], dialect: Dialect) -> Any:
    """Return the BSON value of a server default: NOW, TODAY, None or a value.

    Raises NoValue if there is none.
    """
    bson = bson_type(type_, dialect)
    text = default_sql(default, dialect)
    if text is None:
        return value_of(expressions.Text(str(default.arg)), bson)
    try:
        return value_of(expressions.parse(text), bson)
    except sql_tokens.UnknownSql as error:
        raise NoValue(f"{text} is computed by the server") from error


def client_value(column: Column[Any], dialect: Dialect) -> Any:
    """Return the BSON value of a column's own `default=`, if it is a constant.

    Raises NoValue if there is none, or it is a function.
    """
    default = column.default
    if not isinstance(default, ColumnDefault) or not default.is_scalar:
        raise NoValue("the model has no constant for it")
    value = default.arg
    plain = plain_type(column.type, dialect)
    if isinstance(plain, Enum) and isinstance(value, enum.Enum):
        processor = column.type.bind_processor(dialect)
        value = processor(value) if processor else value.name
    return python_value(value, bson_type(column.type, dialect))


def python_value(value: Any, bson: Bson) -> Any:
    """Return the BSON value of a Python value, as the app would store it."""
    if value is None or isinstance(value, bool | bytes):
        return value
    if isinstance(value, uuid.UUID):
        return Binary.from_uuid(value) if bson.name == "uuid" else str(value)
    if isinstance(value, datetime.datetime):
        return _as_utc(value)
    if isinstance(value, datetime.date):
        return datetime.datetime(*value.timetuple()[:3], tzinfo=datetime.UTC)
    if isinstance(value, datetime.time):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): python_value(item, bson) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [python_value(item, bson.item or bson) for item in value]
    if bson.name in ("decimal", "double", "int", "long"):
        return value_of(expressions.Number(str(value)), bson)
    if isinstance(value, str | int | float):
        return value
    raise NoValue(f"{value!r} has no BSON type")


def value_of(expression: expressions.Expr, bson: Bson) -> Any:
    """Return the BSON value of an SQL expression in a column of that type.

    Raises NoValue if the expression is not a constant, or not a value of the type.
    """
    match expression:
        case expressions.Cast(value, _):
            return value_of(value, bson)
        case expressions.Word(None):
            return None
        case expressions.Call(name, args) if bson.name in ("datetime", "date"):
            return _clock(name, args, bson)
        case expressions.Call(name, ()) if name in (
            "json_build_object",
            "jsonb_build_object",
        ):
            return {}
        case expressions.Call(name, ()) if name in (
            "json_build_array",
            "jsonb_build_array",
        ):
            return []
        case expressions.Array(items) if bson.item is not None:
            inner = bson.item
            return [value_of(item, inner) for item in items]
        case expressions.Text(text) | expressions.Number(text):
            return _literal(text, bson)
        case expressions.Word(bool() as truth):
            return truth if bson.name == "bool" else _literal(str(truth).lower(), bson)
        case expressions.Call(name):
            raise NoValue(f"{name}() is called by the server for each row")
    raise NoValue("it is computed by the server")


def _clock(name: str, args: tuple[expressions.Expr, ...], bson: Bson) -> Any:
    if name == "timezone" and len(args) == 2:
        if args[0] != expressions.Text("utc") and _bare(args[0]) not in ("utc", "UTC"):
            raise NoValue("it is a local time, and MongoDB stores UTC")
        return value_of(args[1], bson)
    if name not in CLOCKS:
        raise NoValue(f"{name}() is called by the server for each row")
    return TODAY if bson.name == "date" or name == "current_date" else NOW


def _bare(expression: expressions.Expr) -> str | None:
    while isinstance(expression, expressions.Cast):
        expression = expression.value
    return expression.value if isinstance(expression, expressions.Text) else None


def _literal(text: str, bson: Bson) -> Any:
    reader = _READERS.get(bson.name)
    if reader is None:
        raise NoValue(f"the text {text!r} has no BSON value of this type")
    try:
        return reader(text, bson)
    except (ValueError, decimal.DecimalException) as error:
        if isinstance(error, NoValue):
            raise
        raise NoValue(f"{text!r} is not a valid {bson.name}") from error


def _integer(text: str, _: Bson) -> int:
    number = decimal.Decimal(text.strip())
    if number != int(number) or int(number) not in _INT64:
        raise NoValue(f"{text!r} is not a 64-bit integer")
    return int(number)


def _decimal(text: str, _: Bson) -> Decimal128:
    return Decimal128(decimal.Decimal(text.strip()))


def _boolean(text: str, _: Bson) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise NoValue(f"{text!r} is not a boolean")


def _datetime(text: str, bson: Bson) -> Any:
    word = text.strip()
    if word.lower() == "now":
        return TODAY if bson.name == "date" else NOW
    if word.lower() == "epoch":
        return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return _as_utc(datetime.datetime.fromisoformat(word))


def _as_utc(moment: datetime.datetime) -> datetime.datetime:
    """Return a time in UTC, truncated to milliseconds as in BSON."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    moment = moment.astimezone(datetime.UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _json(text: str, _: Bson) -> Any:
    return json.loads(text)


def _array(text: str, bson: Bson) -> list[Any]:
    """Read PostgreSQL's array literal: {}, {a,b}, {"a b",NULL}."""
    match = re.fullmatch(r"\s*\{(.*)\}\s*", text, re.DOTALL)
    if match is None or bson.item is None:
        raise NoValue(f"{text!r} is not an array")
    if not match[1].strip():
        return []
    item = r'\s*("(?:[^"\\]|\\.)*"|[^",{}\\]+)\s*(?:,|$)'
    parts = re.findall(item, match[1])
    if re.sub(item, "", match[1]):
        raise NoValue(f"{text!r} is an array that cannot be parsed here")
    inner = bson.item
    return [_array_item(part, inner) for part in parts]


def _array_item(part: str, bson: Bson) -> Any:
    if part.startswith('"'):
        return _literal(re.sub(r"\\(.)", r"\1", part[1:-1]), bson)
    word = part.strip()
    return None if word.upper() == "NULL" else _literal(word, bson)


def _bytes(text: str, _: Bson) -> bytes:
    if text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    if "\\" in text:
        raise NoValue(f"{text!r} is written in octal")
    return text.encode()


def _hstore(text: str, _: Bson) -> dict[str, Any]:
    if text.strip():
        raise NoValue(f"{text!r} is an hstore that is not empty")
    return {}


_READERS: Mapping[str, Callable[[str, Bson], Any]] = {
    "string": lambda text, _: text,
    "time": lambda text, _: text,
    "int": _integer,
    "long": _integer,
    "double": lambda text, _: float(text),
    "decimal": _decimal,
    "bool": _boolean,
    "datetime": _datetime,
    "date": _datetime,
    "json": _json,
    "object": _hstore,
    "array": _array,
    "binary": _bytes,
    "uuid": lambda text, _: Binary.from_uuid(uuid.UUID(text.strip())),
}
