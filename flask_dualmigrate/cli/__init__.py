"""`flask db-migrate …`: options in, results out, errors to exit codes."""

from __future__ import annotations

import click

from . import (
    backup,
    index,
    inspect,
    recovery,
    run_scripts,
    write_scripts,
)
from .command import COMMANDS, MakeEnvironment
from .load_app import LoadingGroup

__all__ = [
    "COMMAND",
    "LoadingGroup",
    "backup",
    "index",
    "inspect",
    "make_group",
    "recovery",
    "run_scripts",
    "write_scripts",
]


COMMAND = "db-migrate"
"""The name of the group; setup.cfg repeats it."""

_GROUPS: dict[str, str] = {
    "backup": "Make, list, verify and prune backups.",
    "index": "List, compare, build and drop indexes.",
}
"""Name of a group below `db-migrate` -> its help."""


def make_group(
    name: str,
    make_environment: MakeEnvironment,
    kind: type[click.Group] = click.Group,
) -> click.Group:
    """Return the command group. make_environment: as `extension.environment_of`."""
    root = kind(name, help="Migrate PostgreSQL and MongoDB in lockstep.")
    groups = {"": root}
    for path, make in COMMANDS.items():
        parent = path.rpartition(" ")[0]
        if parent not in groups:
            groups[parent] = click.Group(parent, help=_GROUPS[parent])
            root.add_command(groups[parent])
        groups[parent].add_command(make(make_environment))
    return root
