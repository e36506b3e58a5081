"""The commands that look, and change nothing."""

from __future__ import annotations

from typing import Any

from ..environment import Environment
from ..verbs import check, inspect
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
