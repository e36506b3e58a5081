"""The commands that change databases."""

from __future__ import annotations

from typing import Any

import click

from .. import commands
from ..environment import Environment
from ..errors import UsageError
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
    language = _language(target, **ways)
    if language:
        up = Direction.UPGRADE
        return commands.print_script(env, target, up, language=language)
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
    language = _language(target, **ways)
    if language:
        down = Direction.DOWNGRADE
        return commands.print_script(env, target, down, language=language)
    confirm = None if yes else ask
    return commands.downgrade(env, target, dry_run=ways["dry_run"], confirm=confirm)


def _language(target: str, *, dry_run: bool, sql: bool, mongosh: bool) -> str | None:
    """Return the language of the script that is asked for; None: no script."""
    if dry_run + sql + mongosh > 1:
        raise UsageError("Say one of --dry-run, --sql and --mongosh")
    if ":" in target and not (sql or mongosh):
        raise UsageError(
            f"{target} is a range, which only --sql and --mongosh take",
            hint="A run begins where the databases stand: name the target alone.",
        )
    return "sql" if sql else "mongosh" if mongosh else None


@command("stamp", argument("revision", "head"), scope=True)
def _stamp(env: Environment, revision: str) -> Any:
    """Mark the databases as being at a revision; run nothing."""
    return commands.stamp(env, revision)


@command(
    "repair",
    argument("revision"),
    option("--step", type=click.IntRange(min=0), required=True, help="Its number."),
    option("--done", is_flag=True, help="It did its work."),
    option("--retry", is_flag=True, help="Call it again."),
)
def _repair(env: Environment, revision: str, step: int, done: bool, retry: bool) -> Any:
    """Decide a step that a crash left in doubt."""
    if done is retry:
        raise UsageError("Say --done or --retry", hint="Look first at what it did.")
    return commands.repair(env, revision, step, done=done)
