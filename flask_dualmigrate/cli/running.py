"""The commands that change databases."""

from __future__ import annotations

from typing import Any

import click

from .. import commands
from ..environment import Environment
from ..errors import UsageError
from ..limits import GivenLimits
from ..revision import Direction
from .asking import ask
from .command import WAIT, argument, command, option, target

_TARGET_UP = click.Argument(["target"], default="head", callback=target)
_DRY_RUN = option(
    "--dry-run", is_flag=True, help="Say what it would do, and touch nothing."
)
_VERIFY = option(
    "--verify",
    is_flag=True,
    help="Count before and after, and compare both sides, a sample of values too (3).",
)
_SCRIPTS = (
    option("--sql", is_flag=True, help="Print the PostgreSQL script (FROM:TO)."),
    option("--mongosh", is_flag=True, help="Print a script for mongosh (FROM:TO)."),
)
_BACKUP = (
    option(
        "--backup",
        type=click.Choice(["touched", "all"]),
        help="Back that up first, however large it is.",
    ),
    option("--no-backup", is_flag=True, help="Make no backup first."),
)
_ON_ERROR = option(
    "--on-error",
    type=click.Choice(["undo", "restore", "keep"]),
    default="undo",
    help="What becomes of both databases when a script fails (undo).",
)
_LIMITS = (
    option(
        "--lock-timeout",
        "lock_timeout_s",
        type=float,
        metavar="SECONDS",
        help="PostgreSQL: to wait for the lock of a table.",
    ),
    option(
        "--lock-retries",
        type=int,
        metavar="TIMES",
        help="PostgreSQL: to try again without that lock.",
    ),
    option(
        "--statement-timeout",
        "statement_timeout_s",
        type=float,
        metavar="SECONDS",
        help="PostgreSQL: that a statement may take (0: no limit).",
    ),
    option(
        "--max-time",
        "max_time_s",
        type=float,
        metavar="SECONDS",
        help="MongoDB: that a batch or a command may take (0: no limit).",
    ),
)


def _limits(options: dict[str, Any]) -> GivenLimits:
    """Take the time limits out of the options."""
    names = [str(option.name) for option in _LIMITS]
    return {name: options.pop(name) for name in names}


def _backup(options: dict[str, Any]) -> str | None:
    """Take what is to be backed up out of the options; None: it is not said."""
    given: str | None = options.pop("backup")
    if not options.pop("no_backup"):
        return given
    if given is not None:
        raise UsageError(
            "Say one of --backup and --no-backup",
            hint="Leave the other out: a run either makes a backup or makes none.",
        )
    return "never"


def _refuse_for_scripts(backup: str | None, on_error: str) -> None:
    """Raise UsageError for what a run does, and a printed script does not."""
    if backup not in (None, "never"):
        raise UsageError(
            "--backup is for a run: a script is not run here",
            hint="Make one first with: flask db-migrate backup create",
        )
    if on_error != "undo":
        raise UsageError("--on-error is for a run: a script is not run here")


@command(
    "upgrade",
    _TARGET_UP,
    _DRY_RUN,
    *_SCRIPTS,
    WAIT,
    *_BACKUP,
    _ON_ERROR,
    _VERIFY,
    *_LIMITS,
    asks=True,
    scope=True,
)
def _upgrade(
    env: Environment, target: str, yes: bool, wait_s: float, verify: bool, **ways: Any
) -> Any:
    """Bring the databases up to a revision (head)."""
    limits, backup = _limits(ways), _backup(ways)
    on_error = ways.pop("on_error")
    language = commands.language_of(target, **ways)
    if language is not None and wait_s:
        raise UsageError(
            "--wait is for a run: a script is printed without a database",
            hint="Leave --wait out.",
        )
    if language is not None and verify:
        raise UsageError(
            "--verify is for a run: a script is not run here",
            hint="Leave --verify out.",
        )
    if language is not None:
        _refuse_for_scripts(backup, on_error)
        return commands.print_script(
            env, target, Direction.UPGRADE, language, limits=limits
        )
    return commands.upgrade(
        env,
        target,
        dry_run=ways["dry_run"],
        confirm=None if yes else ask,
        wait_s=wait_s,
        verify=verify,
        limits=limits,
        backup=backup,
        on_error=on_error,
    )


@command(
    "downgrade",
    click.Argument(["target"], default="-1", callback=target),
    _DRY_RUN,
    *_SCRIPTS,
    *_BACKUP,
    _ON_ERROR,
    *_LIMITS,
    asks=True,
    scope=True,
)
def _downgrade(env: Environment, target: str, yes: bool, **ways: Any) -> Any:
    """Take the databases down to a revision (-1: one below)."""
    limits, backup = _limits(ways), _backup(ways)
    on_error = ways.pop("on_error")
    language = commands.language_of(target, **ways)
    if language is not None:
        _refuse_for_scripts(backup, on_error)
        return commands.print_script(
            env, target, Direction.DOWNGRADE, language, limits=limits
        )
    return commands.downgrade(
        env,
        target,
        dry_run=ways["dry_run"],
        confirm=None if yes else ask,
        limits=limits,
        backup=backup,
        on_error=on_error,
    )


@command("stamp", argument("revision", "head"), asks=True, scope=True)
def _stamp(env: Environment, revision: str, yes: bool) -> Any:
    """Mark the databases as being at a revision; run nothing."""
    return commands.stamp(env, revision, confirm=None if yes else ask)
