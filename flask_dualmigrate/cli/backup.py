"""The commands that make, list, verify and prune backups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..environment import Environment
from ..verbs import backup
from .command import command, option
from .confirm import ask


@command("backup create", scope=True)
def _create(env: Environment) -> Any:
    """Back the databases up now, whole."""
    return backup.create(env)


@command("backup list")
def _list(env: Environment) -> Any:
    """List the backups, oldest first."""
    return backup.list_backups(env)


@command("backup verify", click.Argument(["name"], required=False))
def _verify(env: Environment, name: str | None) -> Any:
    """Compare the files of a backup, or of all, with their checksums."""
    return backup.verify(env, name)


@command(
    "backup prune",
    option(
        "--keep",
        type=click.IntRange(min=0),
        required=True,
        metavar="N",
        help="How many of the newest stay.",
    ),
    asks=True,
)
def _prune(env: Environment, keep: int, yes: bool) -> Any:
    """Remove old backups, and what killed runs left."""
    return backup.prune(env, keep, confirm=None if yes else _ask)


def _ask(old: Sequence[str]) -> None:
    ask(old)
