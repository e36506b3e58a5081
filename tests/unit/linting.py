"""Lints scripts that a test writes, without an app and without a database."""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flask_dualmigrate.generate.mongo.counterpart_operations import (
    CounterpartOperations,
)
from flask_dualmigrate.generate.mongo.naming import Naming
from flask_dualmigrate.linter import Facts, Finding, Linter, Wings
from flask_dualmigrate.mongo.operations.registry import why_not_standalone
from flask_dualmigrate.mongo.scripts.recording import record
from flask_dualmigrate.runtime.time_limits import DEFAULT, Limits

from .lint_cases import Case
from .trees import BOTH, MONGO, POSTGRES, Tree

BASE = {
    POSTGRES: """
op.create_table(
    "items",
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("name", sa.String(50)),
    sa.Column("n", sa.Integer),
    sa.Column("at", sa.DateTime),
    sa.Column("price", sa.Numeric(10, 4)),
    sa.Column("owner_id", sa.BigInteger),
)
op.create_table(
    "users",
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("email", sa.Text),
)
""",
    MONGO: 'op.create_collection("items")\nop.create_collection("users")',
}
BASE_DOWN = {
    POSTGRES: 'op.drop_table("items")\nop.drop_table("users")',
    MONGO: 'op.drop_collection("items")\nop.drop_collection("users")',
}


class Known(Facts):
    """A database that gives the same answer whatever is asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        for name, answer in answers.items():
            setattr(self, name, lambda *_, answer=answer: answer)


def source(
    side: Any, revision: str, parent: str | None, up: str, down: str | None, head: str
) -> str:
    """Return a script."""
    imports = "from alembic import op\nimport sqlalchemy as sa\n"
    text = (imports if side is POSTGRES else "") + (
        f"{head}\nrevision = {revision!r}\ndown_revision = {parent!r}\n"
        "branch_labels = None\ndepends_on = None\n"
    )
    argument = "" if side is POSTGRES else "op"
    for name, body in (("upgrade", up), ("downgrade", down)):
        if body is not None:
            body = textwrap.indent(body.strip("\n"), "    ")
            text += f"def {name}({argument}):\n{body}\n"
    return text


def tree_of(root: Path, *cases: Case, sides: Collection[Any] = BOTH) -> Tree:
    """Write a base revision, and above it one for each case: r1, r2, …"""
    tree = Tree(root, tuple(sides))
    for side in sides:
        base = source(side, "r0", None, BASE[side], BASE_DOWN[side], "")
        tree.write(side, "r0.py", base)
        for number, case in enumerate(cases, 1):
            up, down, head = (
                (case.sql, case.sql_down, case.sql_head)
                if side is POSTGRES
                else (case.mongo, case.mongo_down, case.mongo_head)
            )
            text = source(side, f"r{number}", f"r{number - 1}", up, down, head)
            tree.write(side, f"r{number}.py", text)
    return tree


def lint_tree(
    tree: Tree,
    *revisions: str,
    facts: dict[str, Any] | None = None,
    limits: Limits = DEFAULT,
    ignored: Collection[str] = (),
    on_postgres: bool = True,
) -> list[Finding]:
    """Return what is found in some revisions."""
    both = len(tree.sides) == 2
    wings = Wings(
        record,
        why_not_standalone,
        CounterpartOperations(Naming()) if both else None,
        lambda revision_id: Known(facts or {}),
    )
    linter = Linter(
        tree.load(),
        wings,
        limits=limits,
        sides=tree.sides,
        ignored=ignored,
        on_postgres=on_postgres,
    )
    return list(linter.findings(revisions or ("r1",)))


def lint_case(root: Path, *cases: Case) -> list[Finding]:
    """Return what is found in the revisions of some cases."""
    names = [f"r{number}" for number in range(1, len(cases) + 1)]
    return lint_tree(tree_of(root, *cases), *names, facts=cases[0].facts)
