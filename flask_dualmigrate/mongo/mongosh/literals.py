"""Values as mongosh reads them: `ISODate("…")`, `NumberLong("5")`, `{ a: 1 }`.

A number that JavaScript would store as another BSON type is written with its type.
Source: mongosh manual, Data Types.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from ...errors import OperationError

WIDTH = 88
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_INT32 = range(-(2**31), 2**31)


@dataclasses.dataclass(frozen=True)
class Raw:
    """JavaScript as it is: an expression."""

    text: str


def literal(value: Any, indent: int = 0) -> str:
    """Return a value as JavaScript, on one line if it fits.

    indent: spaces before the line it is on.
    Raises OperationError for a document whose order JavaScript would change.
    """
    if isinstance(value, Mapping) and not isinstance(value, DBRef):
        return _document(value, indent)
    if isinstance(value, list | tuple):
        return _enclosed([literal(item, indent + 2) for item in value], "[]", indent)
    return _scalar(value)


def on(collection: str) -> str:
    return f"db.getCollection({literal(collection)})"


def call(target: str, method: str, *arguments: Any, then: str = "") -> str:
    """Return a statement that calls a method. then: a call on its result."""
    inner = [literal(argument, 2) for argument in arguments]
    line = f"{target}.{method}({', '.join(inner)}){then};"
    if "\n" not in line and len(line) <= WIDTH:
        return line
    flat = [literal(argument) for argument in arguments]
    if len(flat) == 1:
        return f"{target}.{method}({flat[0]}){then};"
    lines = "".join(f"  {each},\n" for each in inner)
    return f"{target}.{method}(\n{lines}){then};"


def _document(document: Mapping[str, Any], indent: int) -> str:
    _refuse_reordered(list(document))
    inner = [
        f"{_key(key)}: {literal(value, indent + 2)}" for key, value in document.items()
    ]
    return _enclosed(inner, "{}", indent)


def _enclosed(inner: list[str], brackets: str, indent: int) -> str:
    left, right = brackets[0], brackets[1]
    if not inner:
        return brackets
    pad = " " if brackets == "{}" else ""
    line = f"{left}{pad}{', '.join(inner)}{pad}{right}"
    if "\n" not in line and indent + len(line) <= WIDTH - 10:
        return line
    margin = " " * (indent + 2)
    lines = "".join(f"{margin}{each},\n" for each in inner)
    return f"{left}\n{lines}{' ' * indent}{right}"


def _key(key: str) -> str:
    if key == "__proto__":
        return '["__proto__"]'  # without brackets it would set the prototype
    return key if _NAME.fullmatch(key) else _text(key)


def _refuse_reordered(keys: list[str]) -> None:
    """Refuse keys that JavaScript reorders: it puts whole numbers first, sorted."""
    numbers = [key for key in keys if _INDEX.fullmatch(key)]
    if keys[: len(numbers)] != sorted(numbers, key=int):
        raise OperationError(
            f"A document with the fields {', '.join(keys)} cannot be written in "
            "JavaScript, which would put the numbers first",
            hint="Run this revision with flask db-migrate instead.",
        )


@singledispatch
def _scalar(value: Any) -> str:
    raise OperationError(f"{value!r} cannot be written as a value of mongosh")


def _text(value: str) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _integer(value: int) -> str:
    return str(value) if value in _INT32 else f'NumberLong("{value}")'


def _double(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer():
        return f"Double({'-0' if str(value) == '-0.0' else repr(value)})"
    return repr(value)


def _date(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    text = aware.astimezone(UTC).isoformat(timespec="milliseconds")
    return f'ISODate("{text.removesuffix("+00:00")}Z")'


def _binary(value: bytes) -> str:
    subtype = value.subtype if isinstance(value, Binary) else 0
    if subtype == 4 and len(value) == 16:
        digits = bytes(value).hex()
        parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
        return f'UUID("{"-".join(parts)}")'
    return f'BinData({subtype}, "{base64.b64encode(value).decode()}")'


def _regex(value: Regex[Any]) -> str:
    flags = {"i": re.I, "l": re.L, "m": re.M, "s": re.S, "u": re.U, "x": re.X}
    letters = "".join(name for name, flag in flags.items() if value.flags & flag)
    pattern = value.pattern
    text = pattern.decode() if isinstance(pattern, bytes) else pattern
    return f'BSONRegExp({_text(text)}, "{letters}")'


def _code(value: Code) -> str:
    scope = "" if value.scope is None else f", {literal(value.scope)}"
    return f"Code({_text(str(value))}{scope})"


def _reference(value: DBRef) -> str:
    database = "" if value.database is None else f", {_text(value.database)}"
    return f"DBRef({_text(value.collection)}, {literal(value.id)}{database})"


_scalar.register(Raw, lambda value: str(value.text))
_scalar.register(type(None), lambda value: "null")
_scalar.register(bool, lambda value: "true" if value else "false")
_scalar.register(int, _integer)
_scalar.register(Int64, lambda value: f'NumberLong("{int(value)}")')
_scalar.register(float, _double)
_scalar.register(str, _text)
_scalar.register(datetime, _date)
_scalar.register(DatetimeMS, lambda value: f"new Date({int(value)})")
_scalar.register(bytes, _binary)
_scalar.register(ObjectId, lambda value: f'ObjectId("{value}")')
_scalar.register(Decimal128, lambda value: f'NumberDecimal("{value}")')
_scalar.register(
    Timestamp, lambda value: f"Timestamp({{ t: {value.time}, i: {value.inc} }})"
)
_scalar.register(Regex, _regex)
_scalar.register(Code, _code)
_scalar.register(DBRef, _reference)
_scalar.register(MinKey, lambda value: "MinKey()")
_scalar.register(MaxKey, lambda value: "MaxKey()")
