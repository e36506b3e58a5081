"""What an Alembic script takes away for good, read off its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from alembic.script.base import Script

from .script_calls import calls_of

_METHODS = ("drop_table", "drop_column")
_STATEMENT = re.compile(
    r"(?is)\s*(DROP\s+(TABLE|SCHEMA|DATABASE)\b|TRUNCATE\b|DELETE\s+FROM\b|"
    r"ALTER\s+TABLE\b.*\bDROP\s+COLUMN\b)"
)


def destructive_calls(script: Script, function: str) -> tuple[str, ...]:
    """Return the calls in a script's function that drop tables, columns or rows.

    Calls are found by their names, raw SQL by how its text begins; what a script
    computes, or hides in a helper of another module, is not seen.
    """
    calls = calls_of(script, function)
    return tuple(ast.unparse(call) for call in calls if _is_destructive(call))


def _is_destructive(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr in _METHODS:
        return True
    return call.func.attr == "execute" and any(
        _STATEMENT.match(text) for text in _texts(call)
    )


def _texts(call: ast.Call) -> Iterator[str]:
    for argument in call.args:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
