"""One operation, one place: all that is known of it stands in its handler."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from flask_dualmigrate import mongo, ops
from flask_dualmigrate.mongo.operations.handler import Handler
from flask_dualmigrate.mongo.operations.registry import HANDLERS
from flask_dualmigrate.ops import Operation

ROOT = Path(mongo.__file__).parent

OPERATIONS = {
    value
    for value in (getattr(ops, name) for name in ops.__all__)
    if inspect.isclass(value)
    and issubclass(value, Operation)
    and not inspect.isabstract(value)
}

KINDS: list[type[Operation]] = sorted(HANDLERS, key=lambda each: each.__name__)

HAS_TO_SAY = {
    *("apply", "undo"),
    *("forecast", "reads", "writes"),
    *("actions", "why_not_standalone"),
    "statements",
}

ELSEWHERE = {
    # Below the registry, or given to it: they take one as an argument.
    ("batches/transform.py", "Transform"),
    ("forecast/duplicates.py", "CreateIndex"),
    ("forecast/index_documents.py", "CreateIndex"),
    ("forecast/names.py", "SetValidator"),
    ("forecast/validators.py", "SetValidator"),
    ("server/special.py", "CreateIndex"),
    # The linter asks about these two.
    ("preflight/lint_facts.py", "CreateIndex"),
    ("preflight/lint_facts.py", "SetValidator"),
    # A todo has no handler: it is refused before a run.
    ("preflight/preflight.py", "Todo"),
    ("run/runner.py", "Todo"),
    # Below the registry, decides by the records of a run.
    ("journal/resume.py", "Insert"),
}
"""Who else names an operation. It may shrink, and must not grow."""


def test_every_operation_but_a_todo_has_a_handler() -> None:
    assert OPERATIONS - {ops.Todo} == set(HANDLERS)


def test_a_handler_has_to_say_what_differs_from_operation_to_operation() -> None:
    assert set(Handler.__abstractmethods__) == HAS_TO_SAY


@pytest.mark.parametrize("operation", KINDS)
def test_what_may_destroy_says_how_much(operation: type[Operation]) -> None:
    handler = type(HANDLERS[operation])

    destroys = operation.destructive is not Operation.destructive
    assert (handler.loss is not Handler.loss) == destroys


@pytest.mark.parametrize("operation", KINDS)
def test_what_can_keep_says_what_it_keeps(operation: type[Operation]) -> None:
    keeps = {"keep", "overwrite"} & operation.__dataclass_fields__.keys()
    handler = type(HANDLERS[operation])

    assert (handler.kept is not Handler.kept) == bool(keeps)


def test_no_other_module_names_an_operation() -> None:
    names = {operation.__name__ for operation in OPERATIONS}
    found = {
        (path.relative_to(ROOT).as_posix(), alias.name)
        for path in ROOT.rglob("*.py")
        if path.relative_to(ROOT).parts[0] != "operations"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
        if (node.module or "").split(".")[0] == "ops" and alias.name in names
    }

    assert found == ELSEWHERE
