"""The commands for when something went wrong."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ..environment import Environment
from ..errors import UsageError
from ..verbs import repair, unlock, verify
from .command import command, option
from .confirm import ask

_REVISION = click.Argument(["revision"], required=False, default=None)

_WHAT = {
    False: "This takes back:",
    True: "Each of these was migrated with another partner; from now on they would be "
    "one pair, and be brought to one revision:",
}
"""Whether --pair is said -> the question's heading."""

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
    return unlock.unlock(env, force=force, confirm=confirm)


@command(
    "repair",
    _REVISION,
    option("--step", type=click.IntRange(min=0), help="A step in doubt: its number."),
    option("--done", is_flag=True, help="The step did its work."),
    option("--retry", is_flag=True, help="Call the step again."),
    option("--undo", is_flag=True, help="Take back what is half done of it."),
    option(
        "--accept-checksum",
        is_flag=True,
        help="Take its edited script for what was run.",
    ),
    option(
        "--pair",
        is_flag=True,
        help="Make a pair of two databases that each had another partner.",
    ),
    asks=True,
)
def _repair(
    env: Environment,
    revision: str | None,
    step: int | None,
    done: bool,
    retry: bool,
    yes: bool,
    **choices: bool,
) -> Any:
    """Show what is open or wrong between the journals, and settle it as you say."""
    if done and retry:
        raise UsageError("Say --done or --retry", hint="Look first at what it did.")
    return repair.repair(
        env,
        revision,
        step=step,
        done=done if done or retry else None,
        confirm=None if yes else partial(ask, heading=_WHAT[choices["pair"]]),
        **choices,
    )


@command(
    "verify",
    _REVISION,
    option("--head-only", is_flag=True, help="Only what the sides stand at."),
    option(
        "--counts/--no-counts",
        default=True,
        help="Compare the counts of tables and collections (yes).",
    ),
    option(
        "--count-limit",
        type=click.IntRange(min=0),
        default=verify.COUNT_LIMIT,
        help="Stop counting there; 0: nowhere (1,000,000).",
    ),
    scope=True,
)
def _verify(env: Environment, revision: str | None, **options: Any) -> Any:
    """Call the verify functions of what is applied; compare counts (exit code 3)."""
    return verify.verify(env, revision, **options)
