"""Asking a person before something is taken away."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from ..errors import UsageError

_LOSSES = "This takes away, for good:"


def ask(losses: Sequence[str], *, heading: str = _LOSSES) -> None:
    """Show what would be gone for good, and ask; never without a terminal.

    heading: says what the lines are, where they are something else.
    """
    click.echo(heading, err=True)
    for line in losses:
        click.echo(f"  {line}", err=True)
    if not sys.stdin.isatty():
        raise UsageError(
            "It takes something away, and there is no terminal to ask at"
            if heading == _LOSSES
            else "That needs a yes, and there is no terminal to ask at",
            hint="Nothing was changed. To go on without a question, say --yes.",
        )
    if not click.confirm("Go on?", err=True):
        raise UsageError("You said no; nothing was changed")
