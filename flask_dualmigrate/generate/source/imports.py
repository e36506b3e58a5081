"""The import lines that a script uses, in the order of ruff's isort."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from .printer import WIDTH, width_of


def import_lines(source: str, wanted: Sequence[str]) -> list[str]:
    """Return the imports of a script's source, sorted as ruff's isort does.

    wanted: more import lines, included if the source uses the names they import.
    """
    tree = ast.parse(source)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    bound = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    lines = {"op": "from alembic import op", "sa": "import sqlalchemy as sa"}
    for line in wanted:
        for statement in ast.parse(line).body:
            lines.update(_bindings(statement))
    found = {line for name, line in lines.items() if name in used}
    known = {*lines, *bound, *dir(builtins), "upgrade", "downgrade"}
    found |= {f"import {module}" for module in _modules(tree, used - known)}
    return sorted_imports(found)


def _bindings(statement: ast.stmt) -> dict[str, str]:
    """Return the names that an import binds, each with a line that imports only it."""
    if isinstance(statement, ast.Import):
        return {
            (item.asname or item.name).partition(".")[0]: ast.unparse(
                ast.Import([item])
            )
            for item in statement.names
        }
    if isinstance(statement, ast.ImportFrom):
        return {
            item.asname or item.name: ast.unparse(
                ast.ImportFrom(statement.module, [item], statement.level)
            )
            for item in statement.names
        }
    return {}


def _modules(tree: ast.AST, roots: set[str]) -> set[str]:
    """Return the modules that dotted names such as `app.types.Money()` need.

    Alembic writes the app's types with their module's name, but does not import it.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts = ast.unparse(node).split(".")
            while parts and ".".join(parts) not in sys.modules:
                parts.pop()
            if parts and parts[0] in roots:
                found.add(".".join(parts))
    return {
        name
        for name in found
        if not any(other.startswith(name + ".") for other in found)
    }


def sorted_imports(lines: Iterable[str]) -> list[str]:
    """Return imports in sections: standard library, third party, the app's own."""
    sections: dict[int, list[str]] = {}
    for line in sorted(_merged(lines), key=_order):
        module = line.split()[1]
        sections.setdefault(_section(module.partition(".")[0]), []).append(line)
    found: list[str] = []
    for key in sorted(sections):
        found += [*([""] if found else []), *sections[key]]
    return found


def _order(line: str) -> tuple[bool, str]:
    return (line.startswith("from "), line.lower())


def _merged(lines: Iterable[str]) -> list[str]:
    """Return one import for all the names of a module."""
    plain: list[str] = []
    names: dict[str, list[str]] = {}
    for line in sorted(set(lines)):
        if line.startswith("from "):
            head, _, name = line.partition(" import ")
            names.setdefault(head, []).append(name)
        else:
            plain.append(line)
    return [*plain, *(_from(head, found) for head, found in names.items())]


def _from(head: str, names: list[str]) -> str:
    """Return `from module import A, b`: constants, then classes, then the rest."""
    ordered = sorted(names, key=lambda name: (_rank(name), name.lower()))
    line = f"{head} import {', '.join(ordered)}"
    if width_of(line) <= WIDTH:
        return line
    body = "".join(f"    {name},\n" for name in ordered)
    return f"{head} import (\n{body})"


def _rank(name: str) -> int:
    if name.isupper() and len(name) > 1:
        return 0
    return 1 if name[0].isupper() else 2


def _section(package: str) -> int:
    if package in sys.stdlib_module_names:
        return 0
    spec = importlib.util.find_spec(package)
    origin = Path(spec.origin).parts if spec is not None and spec.origin else ()
    return 1 if {"site-packages", "dist-packages"} & set(origin) else 2
