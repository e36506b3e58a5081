"""The read-only commands."""

from __future__ import annotations

from typing import Any

import click

from .. import proving
from ..environment import Environment
from ..verbs import check, inspect, lint
from .command import WAIT, argument, command, option


@command("current", scope=True)
def _current(env: Environment) -> Any:
    """Show the current revision of each database."""
    return inspect.current(env)


@command("status", scope=True)
def _status(env: Environment) -> Any:
    """Show where and when each revision was applied, and how long it took."""
    return inspect.status(env)


@command(
    "history",
    option("-r", "--rev-range", help="FROM:TO; either may be omitted."),
    option(
        "-i", "--indicate-current", is_flag=True, help="Mark the current revisions."
    ),
)
def _history(env: Environment, rev_range: str | None, indicate_current: bool) -> Any:
    """List the revisions, newest first."""
    return inspect.history(env, rev_range, indicate_current=indicate_current)


@command("show", argument("revision", "head"))
def _show(env: Environment, revision: str) -> Any:
    """Show one revision: its files and every attempt to run it."""
    return inspect.show(env, revision)


@command("heads")
def _heads(env: Environment) -> Any:
    """List the revisions that have no successor."""
    return inspect.heads(env)


@command("branches")
def _branches(env: Environment) -> Any:
    """List the revisions that have several successors."""
    return inspect.branches(env)


@command("check", WAIT, scope=True)
def _check(env: Environment, wait_s: float) -> Any:
    """Report anything pending, missing, edited or different (exit code 3)."""
    return check.check(env, wait_s=wait_s)


@command(
    "lint",
    click.Argument(["revisions"], nargs=-1, metavar="[REV|FROM:TO]..."),
    option("--since", metavar="REV", help="Check only the revisions after this one."),
    option("--sql-only", is_flag=True, help="Check only the Alembic scripts."),
    option("--mongo-only", is_flag=True, help="Check only the Mongo scripts."),
    option(
        "--format",
        "format_",
        type=click.Choice(["text", "json", "github"]),
        default="text",
        help="github: pull request annotations.",
    ),
)
def _lint(env: Environment, revisions: tuple[str, ...], **options: Any) -> Any:
    """Look for dangerous changes in the scripts (exit code 3).

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
        "--data", is_flag=True, help="First insert rows and documents with edge values."
    ),
    option(
        "--sample",
        type=click.IntRange(min=1),
        metavar="N",
        help="First copy N rows or documents of each real table or collection.",
    ),
    option(
        "--embedded",
        is_flag=True,
        help="Prove on embedded servers instead of next to the real databases.",
    ),
    option(
        "--keep", is_flag=True, help="Keep the scratch databases and print their names."
    ),
    option(
        "--strict",
        is_flag=True,
        help="Treat a revision without a downgrade as different (3).",
    ),
    scope=True,
)
def _test(
    env: Environment,
    revisions: tuple[str, ...],
    all_: bool,
    since: str | None,
    sample: int | None,
    **options: Any,
) -> Any:
    """Run revisions up, down and up again on scratch databases (default: pending)."""
    return proving.prove(
        env,
        revisions,
        all_=all_,
        since=since,
        options=proving.ProofOptions(sample=sample or 0, **options),
    )
