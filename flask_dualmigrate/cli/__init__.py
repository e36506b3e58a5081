"""`flask db-migrate …`: options in, results out, errors to exit codes."""

from __future__ import annotations

import click

from . import asides, indexes, looking, recovering, restoring, running, writing
from .command import COMMANDS, MakeEnvironment

__all__ = [
    "asides",
    "indexes",
    "looking",
    "make_group",
    "recovering",
    "restoring",
    "running",
    "writing",
]


_GROUPS: dict[str, str] = {
    "index": "List, compare, build and drop indexes.",
}
"""Name of a group below `db-migrate` -> its help."""


def make_group(name: str, make_environment: MakeEnvironment) -> click.Group:
    """Return the command group. make_environment: as `extension.environment_of`."""
    root = click.Group(name, help="Migrate PostgreSQL and MongoDB, in lock-step.")
    groups = {"": root}
    for path, make in COMMANDS.items():
        parent = path.rpartition(" ")[0]
        if parent not in groups:
            groups[parent] = click.Group(parent, help=_GROUPS[parent])
            root.add_command(groups[parent])
        groups[parent].add_command(make(make_environment))
    return root
