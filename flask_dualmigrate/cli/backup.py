"""The commands for what is kept: backups, made and brought back, and asides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..backend import Aside
from ..backups import Manifest
from ..environment import Environment
from ..errors import UsageError
from ..verbs import asides, backup, restore
from .command import argument, command, option
from .confirm import ask
from .views.asides import aside_line


@command("backup create", scope=True)
def _create(env: Environment) -> Any:
    """Back up the whole databases now."""
    return backup.create(env)


@command("backup list")
def _list(env: Environment) -> Any:
    """List the backups, oldest first."""
    return backup.list_backups(env)


@command("backup verify", click.Argument(["name"], required=False))
def _verify(env: Environment, name: str | None) -> Any:
    """Compare the files of one backup, or of all, with their checksums."""
    return backup.verify(env, name)


@command(
    "backup prune",
    option(
        "--keep",
        type=click.IntRange(min=0),
        required=True,
        metavar="N",
        help="How many of the newest backups to keep.",
    ),
    asks=True,
)
def _prune(env: Environment, keep: int, yes: bool) -> Any:
    """Remove old backups and the remains of killed runs."""
    return backup.prune(env, keep, confirm=None if yes else _ask_to_prune)


def _ask_to_prune(old: Sequence[str]) -> None:
    ask(old)


@command("restore", argument("backup"), asks=True, scope=True)
def _restore(env: Environment, backup: str, yes: bool) -> Any:
    """Restore the databases from a backup (a name, or latest)."""
    return restore.restore(env, backup, confirm=None if yes else _ask_to_restore)


def _ask_to_restore(manifest: Manifest, found: Sequence[str]) -> None:
    made = manifest.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    heading = (
        f"This brings back what was there at {made}; everything written since then is "
        "lost:"
    )
    ask(found, heading=heading)


@command(
    "asides",
    option(
        "--purge-older-than",
        metavar="AGE",
        help="Drop asides of this age or older, such as 30d (s, m, h, d, w).",
    ),
    asks=True,
)
def _asides(env: Environment, purge_older_than: str | None, yes: bool) -> Any:
    """List the data that dropped fields and collections left in MongoDB."""
    if purge_older_than is None:
        if yes:
            raise UsageError(
                "--yes needs --purge-older-than",
                hint="Give an age, such as: --purge-older-than 30d --yes",
            )
        return asides.asides(env)
    confirm = None if yes else _ask_to_purge
    return asides.purge_asides(env, purge_older_than, confirm=confirm)


def _ask_to_purge(found: Sequence[Aside]) -> None:
    ask([aside_line(aside) for aside in found])
