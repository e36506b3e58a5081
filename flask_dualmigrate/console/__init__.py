"""A result as text for a person, or as JSON for a program."""

from __future__ import annotations

from typing import Any

from ..results import ScriptResult
from ..text import visible
from . import (
    asides,
    backups,
    indexes,
    lint,
    plans,
    proofs,
    recovery,
    restores,
    results,
    survey,
)
from .plain import as_json
from .text import lines

__all__ = [
    "as_json",
    "as_text",
    "asides",
    "backups",
    "indexes",
    "lint",
    "plans",
    "proofs",
    "recovery",
    "restores",
    "results",
    "survey",
]


def as_text(result: Any, format_: str = "text") -> str:
    """Return a result as lines for a person; no line end after the last.

    format_: "github" shows what lint found as annotations of a pull request.
    What names and errors from elsewhere would do to a terminal is shown, and not done.
    A script is for a program to run: it stays as it is.
    """
    if isinstance(result, ScriptResult):
        return result.text
    shown = lint.as_annotations(result) if format_ == "github" else lines(result)
    return "\n".join(map(visible, shown))
