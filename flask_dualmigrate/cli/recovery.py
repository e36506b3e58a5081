"""The commands to use when something went wrong."""

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
    False: "This undoes:",
    True: "Each of these was migrated with another partner; from "
    "now on they form one pair "
    "and are brought to one revision:",
}
"""Whether --pair is given -> the heading of the question."""

_HEADING = "These may still be running, and would be cut off:"


@command(
    "unlock",
    option(
        "--force", is_flag=True, help="Free it even if its holder may still be running."
    ),
    asks=True,
    scope=True,
)
def _unlock(env: Environment, force: bool, yes: bool) -> Any:
    """Show who holds the locks; free locks whose holders are gone."""
    confirm = None if yes else partial(ask, heading=_HEADING)
    return unlock.unlock(env, force=force, confirm=confirm)


@command(
    "repair",
    _REVISION,
    option("--step", type=click.IntRange(min=0), help="The number of a step in doubt."),
    option("--done", is_flag=True, help="The step did its work."),
    option("--retry", is_flag=True, help="Call the step again."),
    option("--undo", is_flag=True, help="Undo a half-done revision."),
    option(
        "--accept-checksum",
        is_flag=True,
        help="Accept its edited script as the one that was run.",
    ),
    option(
        "--pair",
        is_flag=True,
        help="Pair two databases that each had another partner.",
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
    """Show what is unfinished or inconsistent, and settle it as you choose."""
    if done and retry:
        raise UsageError("Add --done or --retry", hint="First check what it did.")
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
    option("--head-only", is_flag=True, help="Check only the current revisions."),
    option(
        "--counts/--no-counts",
        default=True,
        help="Compare the counts of tables and collections (default: yes).",
    ),
    option(
        "--count-limit",
        type=click.IntRange(min=0),
        default=verify.COUNT_LIMIT,
        help="Stop counting at this number; 0: no limit (default: 1,000,000).",
    ),
    scope=True,
)
def _verify(env: Environment, revision: str | None, **options: Any) -> Any:
    """Run the verify functions of applied revisions; compare counts (exit code 3)."""
    return verify.verify(env, revision, **options)
