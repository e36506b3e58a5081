"""The calls and the SQL in the source of an Alembic script, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..sql.statements import Statement, statements
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


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """Return an argument of a call, given by position or by name; None if it is not."""
    if position is not None and position < len(call.args):
        return call.args[position]
    return next((each.value for each in call.keywords if each.arg == name), None)


def text_of(node: ast.AST | None) -> str | None:
    """Return the value of a string literal; None for a computed string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def texts_in(*nodes: ast.AST) -> Iterator[str]:
    """Yield all string literals in some source."""
    for node in nodes:
        yield from filter(None, map(text_of, ast.walk(node)))


def _statements(tree: ast.Module) -> Iterator[Statement]:
    """Yield what the literals of a script are as SQL; most are not SQL at all."""
    return (each for text in texts_in(tree) for each in statements(text))


def created_schemas(script: LoadedScript) -> frozenset[str]:
    """Return all names in CREATE SCHEMA and CreateSchema(…), wherever they are."""
    tree = ast.parse(script.file.source)
    found: set[str] = set()
    for statement in _statements(tree):
        if statement.kind == "CREATE SCHEMA":
            found |= statement.words.identifiers()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "CreateSchema" in ast.unparse(node.func):
            found |= set(texts_in(node))
    return frozenset(found)


def switches_role(script: LoadedScript) -> bool:
    """Return whether SQL in a script is SET ROLE or SET SESSION AUTHORIZATION."""
    for statement in _statements(ast.parse(script.file.source)):
        rest = statement.rest
        rest.skip("LOCAL", "SESSION")
        if statement.verb == "SET" and rest.next in ("ROLE", "AUTHORIZATION"):
            return True
    return False
