"""The command that lists the asides, and drops old ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Aside
from ..environment import Environment
from ..errors import UsageError
from ..verbs import asides
from .command import command, option
from .confirm import ask
from .views.asides import aside_line


@command(
    "asides",
    option(
        "--purge-older-than",
        metavar="AGE",
        help="Drop those that are as old as that, such as 30d (s, m, h, d, w).",
    ),
    asks=True,
)
def _asides(env: Environment, purge_older_than: str | None, yes: bool) -> Any:
    """List what dropped fields and collections left in MongoDB; drop old ones."""
    if purge_older_than is None:
        if yes:
            raise UsageError(
                "--yes goes with --purge-older-than",
                hint="Say how old, such as: --purge-older-than 30d --yes",
            )
        return asides.asides(env)
    confirm = None if yes else _ask
    return asides.purge_asides(env, purge_older_than, confirm=confirm)


def _ask(found: Sequence[Aside]) -> None:
    ask([aside_line(aside) for aside in found])
