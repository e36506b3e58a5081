"""The commands for when something went wrong."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import unlocking
from ..environment import Environment
from .asking import ask
from .command import command, option

_HEADING = "They may be at work, and would be cut off where they are:"


@command(
    "unlock",
    option("--force", is_flag=True, help="Free it even if its holder may be at work."),
    asks=True,
    scope=True,
)
def _unlock(env: Environment, force: bool, yes: bool) -> Any:
    """Show who holds the locks; free those whose holders are gone."""
    confirm = None if yes else partial(ask, heading=_HEADING)
    return unlocking.unlock(env, force=force, confirm=confirm)
