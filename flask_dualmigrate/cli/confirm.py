"""Ask for confirmation before something is removed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

import click

from ..errors import Unconfirmed
from .output import say

_LOSSES = "This permanently removes:"


def has_terminal() -> bool:
    """Return whether someone can answer; a closed stdin is None in Python."""
    stdin: TextIO | None = sys.stdin
    return stdin is not None and not stdin.closed and stdin.isatty()


def _logs_json() -> bool:
    """Return whether stderr is for JSON lines alone: the error's has the losses too."""
    context = click.get_current_context(silent=True)
    return context is not None and context.params.get("log_format") == "json"


def ask(losses: Sequence[str], *, heading: str = _LOSSES) -> None:
    """Show what would be permanently lost, and ask; never without a terminal.

    heading: introduces the lines if they are something else.
    Raises Unconfirmed, with the losses, if the answer is no or no one can answer.
    """
    if has_terminal() or not _logs_json():
        say(heading)
        for line in losses:
            say(f"  {line}")
    if not has_terminal():
        raise Unconfirmed(
            "This removes data, and there is no terminal to ask for confirmation"
            if heading == _LOSSES
            else "This needs confirmation, and there is no terminal to ask for it",
            losses=losses,
            hint="Nothing was changed. To continue without confirmation, pass --yes.",
        )
    if not click.confirm("Go on?", err=True):
        raise Unconfirmed(
            "You answered no; nothing was changed",
            losses=losses,
            hint="To continue without confirmation, pass --yes.",
        )
