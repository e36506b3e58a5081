"""The command that brings a backup back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backups import Manifest
from ..environment import Environment
from ..verbs import restore
from .command import argument, command
from .confirm import ask


@command("restore", argument("backup"), asks=True, scope=True)
def _restore(env: Environment, backup: str, yes: bool) -> Any:
    """Bring the databases back to a backup (its name, or latest)."""
    return restore.restore(env, backup, confirm=None if yes else _ask)


def _ask(manifest: Manifest, found: Sequence[str]) -> None:
    made = manifest.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    heading = (
        f"This brings back what was there at {made}; what was written since is lost:"
    )
    ask(found, heading=heading)
