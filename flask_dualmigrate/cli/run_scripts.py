"""The commands that change databases."""

from __future__ import annotations

from typing import Any

import click

from ..environment import Environment
from ..errors import UsageError
from ..run.options import RunOptions
from ..verbs import run_scripts
from .command import WAIT, argument, command, option, target
from .confirm import ask

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


def _options(target: str, yes: bool, given: dict[str, Any]) -> RunOptions:
    """Make the options of a run of what was given on the command line."""
    limits = {str(each.name): given.pop(str(each.name)) for each in _LIMITS}
    given["backup"] = _backup(given["backup"], given.pop("no_backup"))
    options = RunOptions(confirm=None if yes else ask, limits=limits, **given)
    if options.language(target) is not None:
        _refuse_for_scripts(options)
    return options


def _backup(given: str | None, none: bool) -> str | None:
    """Return what is to be backed up; None: it is not said."""
    if none and given is not None:
        raise UsageError(
            "Say one of --backup and --no-backup",
            hint="Leave the other out: a run either makes a backup or makes none.",
        )
    return "never" if none else given


def _refuse_for_scripts(options: RunOptions) -> None:
    """Raise UsageError for what a run does, and a printed script does not."""
    if options.wait_s:
        raise UsageError(
            "--wait is for a run: a script is printed without a database",
            hint="Leave --wait out.",
        )
    if options.verify:
        raise UsageError(
            "--verify is for a run: a script is not run here",
            hint="Leave --verify out.",
        )
    if options.backup not in (None, "never"):
        raise UsageError(
            "--backup is for a run: a script is not run here",
            hint="Make one first with: flask db-migrate backup create",
        )
    if options.on_error != "undo":
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
def _upgrade(env: Environment, target: str, yes: bool, **given: Any) -> Any:
    """Bring the databases up to a revision (head)."""
    return run_scripts.upgrade(env, target, _options(target, yes, given))


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
def _downgrade(env: Environment, target: str, yes: bool, **given: Any) -> Any:
    """Take the databases down to a revision (-1: one below)."""
    return run_scripts.downgrade(env, target, _options(target, yes, given))


@command("stamp", argument("revision", "head"), asks=True, scope=True)
def _stamp(env: Environment, revision: str, yes: bool) -> Any:
    """Mark the databases as being at a revision; run nothing."""
    return run_scripts.stamp(env, revision, confirm=None if yes else ask)
