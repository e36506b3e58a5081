"""Write the source of a script: header, imports, upgrade() and downgrade()."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Binary, Decimal128, Int64

from ...ops.base import Now, Operation
from ...tree.pair import Header
from ..source.header import assemble
from ..source.imports import sorted_imports
from ..source.printer import INDENT, print_comment, print_expression, quote


@dataclass(frozen=True)
class Comment:
    """A line of a script that says why there is nothing to do."""

    text: str


Statement = Operation | Comment


def render_mongo(
    header: Header, upgrade: Sequence[Statement], downgrade: Sequence[Statement]
) -> str:
    """Return the source of a Mongo script."""
    imports: set[str] = set()
    functions = [
        [f"def {name}(op):", *_body(statements, imports)]
        for name, statements in (("upgrade", upgrade), ("downgrade", downgrade))
    ]
    return assemble(header, sorted_imports(imports), functions)


def _body(statements: Sequence[Statement], imports: set[str]) -> list[str]:
    lines: list[str] = []
    for statement in statements:
        if isinstance(statement, Comment):
            lines += print_comment(statement.text, indent=INDENT)
        else:
            source = call_source(statement, imports)
            lines += print_expression(source, indent=INDENT)
    if not any(isinstance(statement, Operation) for statement in statements):
        lines.append(" " * INDENT + "pass")
    return lines


def call_source(operation: Operation, imports: set[str]) -> str:
    """Return the call that records an operation; add the imports that it needs."""
    args, kwargs = operation.arguments()
    positional = [value_source(value, imports) for value in args]
    named = [f"{key}={value_source(value, imports)}" for key, value in kwargs.items()]
    return f"op.{operation.verb}({', '.join([*positional, *named])})"


def value_source(value: Any, imports: set[str]) -> str:
    """Return the source of a BSON value; add the imports that it needs."""
    match value:
        case Now():
            return "op.now()"
        case float() if not math.isfinite(value):
            return f'float("{value}")'
        case str():
            return quote(value)
        case Int64() | Decimal128() | Binary() | datetime.datetime():
            return _object(value, imports)
        case bytes():
            return quote(value)
        case None | bool() | int() | float():
            return repr(value)
        case Mapping():
            items = (
                f"{quote(key)}: {value_source(item, imports)}"
                for key, item in value.items()
            )
            return f"{{{', '.join(items)}}}"
        case tuple() | list():
            return _sequence(value, imports)
    raise TypeError(f"{value!r} cannot be written in a script")


def _object(
    value: Int64 | Decimal128 | Binary | datetime.datetime, imports: set[str]
) -> str:
    """Return the call that creates a class's value; add the class's import."""
    if isinstance(value, datetime.datetime):
        imports.add("from datetime import UTC, datetime")
        return _datetime(value)
    imports.add(f"from bson import {type(value).__name__}")
    if isinstance(value, Binary):
        return _binary(value, imports)
    if isinstance(value, Decimal128):
        return f"Decimal128({quote(str(value))})"
    return f"Int64({int(value)})"


def _sequence(value: Iterable[Any], imports: set[str]) -> str:
    """Return a list; pairs in it, as in an index's keys, stay tuples."""
    items = []
    for item in value:
        source = value_source(item, imports)
        is_pair = isinstance(item, tuple) and len(item) == 2
        items.append(f"({source[1:-1]})" if is_pair else source)
    return f"[{', '.join(items)}]"


def _binary(value: Binary, imports: set[str]) -> str:
    if value.subtype == 4:
        imports.add("from uuid import UUID")
        return f"Binary.from_uuid(UUID({quote(str(value.as_uuid()))}))"
    return f"Binary({quote(bytes(value))}, {value.subtype})"


def _datetime(value: datetime.datetime) -> str:
    moment = value.astimezone(datetime.UTC)
    parts = list(moment.timetuple()[:6])
    if moment.microsecond:
        parts.append(moment.microsecond)
    while len(parts) > 3 and parts[-1] == 0:
        parts.pop()
    return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
