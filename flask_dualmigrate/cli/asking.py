"""Asking a person before something is taken away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

import click

from ..errors import UsageError
from .output import say

_LOSSES = "This takes away, for good:"


def has_terminal() -> bool:
    """Return whether somebody can answer; a closed input is None in Python."""
    stdin: TextIO | None = sys.stdin
    return stdin is not None and not stdin.closed and stdin.isatty()


def ask(losses: Sequence[str], *, heading: str = _LOSSES) -> None:
    """Show what would be gone for good, and ask; never without a terminal.

    heading: says what the lines are, where they are something else.
    """
    say(heading)
    for line in losses:
        say(f"  {line}")
    if not has_terminal():
        raise UsageError(
            "It takes something away, and there is no terminal to ask at"
            if heading == _LOSSES
            else "That needs a yes, and there is no terminal to ask at",
            hint="Nothing was changed. To go on without a question, say --yes.",
        )
    if not click.confirm("Go on?", err=True):
        raise UsageError(
            "You said no; nothing was changed",
            hint="To go on without a question, say --yes.",
        )
