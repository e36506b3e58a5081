"""What a script takes away for good, as the question before a run shows it."""

from __future__ import annotations

import ast

from alembic.script.base import Script

from .. import recording
from .op_changes import changes_of
from .postgres_loss import loss_of
from .postgres_view import placed
from .source import Source
from .tables import Tables


def losses(script: Script, function: str) -> tuple[tuple[int, str], ...]:
    """Return line and words of each call of a script that loses something for good.

    It is what the rules of lint call destructive, of tables that the script did not
    make itself; an allow-comment does not keep it from being asked about.
    """
    recorded = recording.record(script.module, function)
    changes = placed(changes_of(recorded.calls), Tables())
    source = Source(script.path)
    found = {
        (change.line or 0): change
        for change in changes
        if loss_of(change) is not None and change.existing
    }
    return tuple(
        (line, _call_at(source, line) or change.sql or f"{change.verb} {change.place}")
        for line, change in found.items()
    )


def _call_at(source: Source, line: int) -> str | None:
    """Return the call that stands in a line, as one line of source."""
    first, last = source.span(line)
    for node in ast.walk(source.tree):
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if is_call and first <= node.lineno <= last:
            return ast.unparse(node)
    return None
