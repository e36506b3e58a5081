"""The calls in the source of an Alembic script, found without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..tree.script_file import LoadedScript


def calls_of(script: LoadedScript, function: str) -> Iterator[ast.Call]:
    """Yield the calls `something.method(…)` in one function of a script."""
    for statement in body_of(script, function):
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield node


def body_of(script: LoadedScript, function: str) -> list[ast.stmt]:
    """Return the statements of a script's function; none if it has no such function."""
    for statement in ast.parse(script.file.source).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == function:
            return statement.body
    return []


def text_of(node: ast.AST) -> str | None:
    """Return the value of a string literal; None for a computed string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None
