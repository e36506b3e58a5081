"""The commands that change databases."""

from __future__ import annotations

from typing import Any

import click

from .. import commands
from ..environment import Environment
from ..revision import Direction
from .asking import ask
from .command import argument, command, option, target

_TARGET_UP = click.Argument(["target"], default="head", callback=target)
_DRY_RUN = option(
    "--dry-run", is_flag=True, help="Say what it would do, and touch nothing."
)
_SCRIPTS = (
    option("--sql", is_flag=True, help="Print the PostgreSQL script (FROM:TO)."),
    option("--mongosh", is_flag=True, help="Print a script for mongosh (FROM:TO)."),
)


@command("upgrade", _TARGET_UP, _DRY_RUN, *_SCRIPTS, asks=True, scope=True)
def _upgrade(env: Environment, target: str, yes: bool, **ways: bool) -> Any:
    """Bring the databases up to a revision (head)."""
    language = commands.language_of(target, **ways)
    if language is not None:
        return commands.print_script(env, target, Direction.UPGRADE, language)
    confirm = None if yes else ask
    return commands.upgrade(env, target, dry_run=ways["dry_run"], confirm=confirm)


@command(
    "downgrade",
    click.Argument(["target"], default="-1", callback=target),
    _DRY_RUN,
    *_SCRIPTS,
    asks=True,
    scope=True,
)
def _downgrade(env: Environment, target: str, yes: bool, **ways: bool) -> Any:
    """Take the databases down to a revision (-1: one below)."""
    language = commands.language_of(target, **ways)
    if language is not None:
        return commands.print_script(env, target, Direction.DOWNGRADE, language)
    confirm = None if yes else ask
    return commands.downgrade(env, target, dry_run=ways["dry_run"], confirm=confirm)


@command("stamp", argument("revision", "head"), scope=True)
def _stamp(env: Environment, revision: str) -> Any:
    """Mark the databases as being at a revision; run nothing."""
    return commands.stamp(env, revision)
