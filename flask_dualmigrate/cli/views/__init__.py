"""Results as text for a person or as JSON for a program."""

from __future__ import annotations

from typing import Any

from ...text import visible
from ...verbs.dry_run import ScriptResult
from . import (
    asides,
    backup,
    dry_run,
    index,
    inspect,
    lint,
    prove,
    recovery,
    restore,
    run_scripts,
    survey,
    write_scripts,
)
from .layout import lines
from .to_json import as_json

__all__ = [
    "as_json",
    "as_text",
    "asides",
    "backup",
    "dry_run",
    "index",
    "inspect",
    "lint",
    "prove",
    "recovery",
    "restore",
    "run_scripts",
    "survey",
    "write_scripts",
]


def as_text(result: Any, format_: str = "text") -> str:
    """Return a result as text for a person, without a final newline.

    format_: "github" shows lint findings as pull request annotations.
    Control characters in names and errors from elsewhere are shown as escapes.
    A printed script is for a program, so it is left as it is.
    """
    if isinstance(result, ScriptResult):
        return result.text
    shown = lint.as_annotations(result) if format_ == "github" else lines(result)
    return "\n".join(map(visible, shown))
