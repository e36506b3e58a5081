"""The commands that look, and change nothing."""

from __future__ import annotations

from typing import Any

import click

from .. import proving
from ..environment import Environment
from ..verbs import check, inspect, lint
from .command import WAIT, argument, command, option


@command("current", scope=True)
def _current(env: Environment) -> Any:
    """Say where the databases stand."""
    return inspect.current(env)


@command("status", scope=True)
def _status(env: Environment) -> Any:
    """Say of each revision where it is applied, since when, and how long it took."""
    return inspect.status(env)


@command(
    "history",
    option("-r", "--rev-range", help="FROM:TO; either may be left out."),
    option("-i", "--indicate-current", is_flag=True, help="Mark where they stand."),
)
def _history(env: Environment, rev_range: str | None, indicate_current: bool) -> Any:
    """List the revisions, newest first."""
    return inspect.history(env, rev_range, indicate_current=indicate_current)


@command("show", argument("revision", "head"))
def _show(env: Environment, revision: str) -> Any:
    """Show one revision: its files, and all attempts at it."""
    return inspect.show(env, revision)


@command("heads")
def _heads(env: Environment) -> Any:
    """List the revisions that nothing follows."""
    return inspect.heads(env)


@command("branches")
def _branches(env: Environment) -> Any:
    """List the revisions that more than one follows."""
    return inspect.branches(env)


@command("check", WAIT, scope=True)
def _check(env: Environment, wait_s: float) -> Any:
    """Look for what is pending, missing, edited or different (exit code 3)."""
    return check.check(env, wait_s=wait_s)


@command(
    "lint",
    click.Argument(["revisions"], nargs=-1, metavar="[REV|FROM:TO]..."),
    option("--since", metavar="REV", help="Only what comes after this revision."),
    option("--sql-only", is_flag=True, help="Only the Alembic scripts."),
    option("--mongo-only", is_flag=True, help="Only the Mongo scripts."),
    option(
        "--format",
        "format_",
        type=click.Choice(["text", "json", "github"]),
        default="text",
        help="github: annotations of a pull request.",
    ),
)
def _lint(env: Environment, revisions: tuple[str, ...], **options: Any) -> Any:
    """Look for what is dangerous in the scripts (exit code 3).

    No database is needed. 0: nothing was found that a comment in the script does not
    allow; 3: something was.
    """
    return lint.lint(env, revisions, **options)


@command(
    "test",
    click.Argument(["revisions"], nargs=-1),
    option("--all", "all_", is_flag=True, help="Prove each revision of the tree."),
    option("--since", metavar="REV", help="Prove the revisions above this one."),
    option(
        "--data", is_flag=True, help="Put in rows and documents of edge values first."
    ),
    option(
        "--sample",
        type=click.IntRange(min=1),
        metavar="N",
        help="Copy N rows or documents of each real table or collection first.",
    ),
    option(
        "--embedded",
        is_flag=True,
        help="Prove on embedded servers, not beside the real databases.",
    ),
    option("--keep", is_flag=True, help="Leave the scratch databases, and name them."),
    option(
        "--strict",
        is_flag=True,
        help="Count a revision that has no way down as different (3).",
    ),
    scope=True,
)
def _test(
    env: Environment,
    revisions: tuple[str, ...],
    all_: bool,
    since: str | None,
    sample: int | None,
    **ways: Any,
) -> Any:
    """Prove revisions on scratch databases: up, down, up (what is pending)."""
    return proving.prove(
        env,
        revisions,
        all_=all_,
        since=since,
        ways=proving.Ways(sample=sample or 0, **ways),
    )
