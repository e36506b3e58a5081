"""Asking a person before something is taken away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

import click

from ..errors import Unconfirmed
from .output import say

_LOSSES = "This takes away, for good:"


def has_terminal() -> bool:
    """Return whether somebody can answer; a closed input is None in Python."""
    stdin: TextIO | None = sys.stdin
    return stdin is not None and not stdin.closed and stdin.isatty()


def _logs_json() -> bool:
    """Return whether stderr is for JSON lines alone: the error's has the losses too."""
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get("log_format") == "json"


def ask(losses: Sequence[str], *, heading: str = _LOSSES) -> None:
    """Show what would be gone for good, and ask; never without a terminal.

    heading: says what the lines are, where they are something else.
    Raises Unconfirmed, with the losses, if the answer is no or cannot be had.
    """
    if has_terminal() or not _logs_json():
        say(heading)
        for line in losses:
            say(f"  {line}")
    if not has_terminal():
        raise Unconfirmed(
            "It takes something away, and there is no terminal to ask at"
            if heading == _LOSSES
            else "That needs a yes, and there is no terminal to ask at",
            losses=losses,
            hint="Nothing was changed. To go on without a question, say --yes.",
        )
    if not click.confirm("Go on?", err=True):
        raise Unconfirmed(
            "You said no; nothing was changed",
            losses=losses,
            hint="To go on without a question, say --yes.",
        )
