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
    "--dry-run",
    is_flag=True,
    help="Show what would be done, without changing anything.",
)
_VERIFY = option(
    "--verify",
    is_flag=True,
    help="Compare counts and sample values, before and after and across sides (3).",
)
_SCRIPTS = (
    option("--sql", is_flag=True, help="Print the PostgreSQL script (FROM:TO)."),
    option("--mongosh", is_flag=True, help="Print a script for mongosh (FROM:TO)."),
)
_BACKUP = (
    option(
        "--backup",
        type=click.Choice(["touched", "all"]),
        help="What to back up first, regardless of size.",
    ),
    option("--no-backup", is_flag=True, help="Do not make a backup first."),
)
_ON_ERROR = option(
    "--on-error",
    type=click.Choice(["undo", "restore", "keep"]),
    default="undo",
    help="What to do with both databases if a script fails (default: undo).",
)
_LIMITS = (
    option(
        "--lock-timeout",
        "lock_timeout_s",
        type=float,
        metavar="SECONDS",
        help="PostgreSQL: how long to wait for a table lock.",
    ),
    option(
        "--lock-retries",
        type=int,
        metavar="TIMES",
        help="PostgreSQL: how often to retry without getting that lock.",
    ),
    option(
        "--statement-timeout",
        "statement_timeout_s",
        type=float,
        metavar="SECONDS",
        help="PostgreSQL: how long a statement may take (0: no limit).",
    ),
    option(
        "--max-time",
        "max_time_s",
        type=float,
        metavar="SECONDS",
        help="MongoDB: how long a batch or a command may take (0: no limit).",
    ),
)


def _options(target: str, yes: bool, given: dict[str, Any]) -> RunOptions:
    """Build the options of a run from the command line."""
    limits = {str(each.name): given.pop(str(each.name)) for each in _LIMITS}
    given["backup"] = _backup(given["backup"], given.pop("no_backup"))
    options = RunOptions(confirm=None if yes else ask, limits=limits, **given)
    if options.language(target) is not None:
        _refuse_for_scripts(options)
    return options


def _backup(given: str | None, none: bool) -> str | None:
    """Return what to back up; None: not given."""
    if none and given is not None:
        raise UsageError(
            "--backup and --no-backup exclude each other",
            hint="Use only one of them.",
        )
    return "never" if none else given


def _refuse_for_scripts(options: RunOptions) -> None:
    """Raise UsageError for options that need a run, not a printed script."""
    if options.wait_s:
        raise UsageError(
            "--wait needs a run: a script is printed without a database",
            hint="Remove --wait.",
        )
    if options.verify:
        raise UsageError(
            "--verify needs a run: a script is only printed here",
            hint="Remove --verify.",
        )
    if options.backup not in (None, "never"):
        raise UsageError(
            "--backup needs a run: a script is only printed here",
            hint="Make one first with: flask db-migrate backup create",
        )
    if options.on_error != "undo":
        raise UsageError("--on-error needs a run: a script is only printed here")


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
    """Upgrade the databases to a revision (default: head)."""
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
    """Downgrade the databases to a revision (default: -1, one below)."""
    return run_scripts.downgrade(env, target, _options(target, yes, given))


@command("stamp", argument("revision", "head"), asks=True, scope=True)
def _stamp(env: Environment, revision: str, yes: bool) -> Any:
    """Mark the databases as being at a revision, without running anything."""
    return run_scripts.stamp(env, revision, confirm=None if yes else ask)
