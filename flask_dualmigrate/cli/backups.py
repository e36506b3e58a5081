"""The commands that make, list, verify and prune backups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from .. import backup_commands
from ..environment import Environment
from .asking import ask
from .command import command, option


@command("backup create", scope=True)
def _create(env: Environment) -> Any:
    """Back the databases up now, whole."""
    return backup_commands.create(env)


@command("backup list")
def _list(env: Environment) -> Any:
    """List the backups, oldest first."""
    return backup_commands.list_backups(env)


@command("backup verify", click.Argument(["name"], required=False))
def _verify(env: Environment, name: str | None) -> Any:
    """Compare the files of a backup, or of all, with their checksums."""
    return backup_commands.verify(env, name)


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
    return backup_commands.prune(env, keep, confirm=None if yes else _ask)


def _ask(old: Sequence[str]) -> None:
    ask(old)
