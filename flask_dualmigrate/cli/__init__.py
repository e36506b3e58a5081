"""`flask db-migrate …`: options in, results out, errors to exit codes.

`flask` asks at each start which commands there are, whatever it is to run. The answer
is here; the modules of the commands, and with them everything else, are imported when
one of the commands is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click

COMMAND = "db-migrate"
"""The name of the group; setup.cfg repeats it."""

_HELP: Mapping[str, str] = {
    "": "Migrate PostgreSQL and MongoDB in lockstep.",
    "backup": "Make, list, verify and prune backups.",
    "index": "List, compare, build and drop indexes.",
}
"""Path of a group below `db-migrate` -> its help."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "asides": (
        "backup",
        "List the data that dropped fields and collections left in MongoDB.",
    ),
    "backup create": ("backup", "Back up the whole databases now."),
    "backup list": ("backup", "List the backups, oldest first."),
    "backup prune": ("backup", "Remove old backups and the remains of killed runs."),
    "backup verify": (
        "backup",
        "Compare the files of one backup, or of all, with their checksums.",
    ),
    "branches": ("inspect", "List the revisions that have several successors."),
    "check": (
        "inspect",
        "Report anything pending, missing, edited or different (exit code 3).",
    ),
    "current": ("inspect", "Show the current revision of each database."),
    "downgrade": (
        "run_scripts",
        "Downgrade the databases to a revision (default: -1, one below).",
    ),
    "edit": ("write_scripts", "Open both scripts of a revision in $EDITOR."),
    "heads": ("inspect", "List the revisions that have no successor."),
    "history": ("inspect", "List the revisions, newest first."),
    "index diff": (
        "index",
        "Compare the declared indexes with the existing ones (exit code 3).",
    ),
    "index drop": ("index", "Drop an index; on MongoDB, hide it first."),
    "index list": ("index", "List indexes: key, options, size and usage."),
    "index rebuild": ("index", "Rebuild an index without ever being without it."),
    "index sync": (
        "index",
        "Make the existing indexes match the declared ones, missing ones first.",
    ),
    "init": (
        "write_scripts",
        "Create the migrations directory, or complete an existing one.",
    ),
    "lint": ("inspect", "Look for dangerous changes in the scripts (exit code 3)."),
    "merge": ("write_scripts", "Write a revision that joins several heads."),
    "migrate": (
        "write_scripts",
        "Write a revision from the models (`revision --autogenerate`).",
    ),
    "repair": (
        "recovery",
        "Show what is unfinished or inconsistent, and settle it as you choose.",
    ),
    "restore": ("backup", "Restore the databases from a backup (a name, or latest)."),
    "revision": (
        "write_scripts",
        "Write a new revision: an Alembic script and a Mongo script.",
    ),
    "show": ("inspect", "Show one revision: its files and every attempt to run it."),
    "stamp": (
        "run_scripts",
        "Mark the databases as being at a revision, without running anything.",
    ),
    "status": (
        "inspect",
        "Show where and when each revision was applied, and how long it took.",
    ),
    "test": (
        "inspect",
        "Run revisions up, down and up again on scratch databases (default: pending).",
    ),
    "unlock": (
        "recovery",
        "Show who holds the locks; free locks whose holders are gone.",
    ),
    "upgrade": ("run_scripts", "Upgrade the databases to a revision (default: head)."),
    "verify": (
        "recovery",
        "Run the verify functions of applied revisions; compare counts (exit code 3).",
    ),
}
"""Path of a command -> its module here, and the first sentence of its help."""

MakeEnvironment = Callable[..., Any]
"""As `extension.environment_of`."""


class CommandGroup(click.Group):
    """`db-migrate`, or a group below it; its commands are made when asked for.

    path: of the group, "" for `db-migrate` itself.
    """

    def __init__(
        self, name: str, make_environment: MakeEnvironment, *, path: str = ""
    ) -> None:
        super().__init__(name, help=_HELP[path])
        self._make_environment = make_environment
        begin = f"{path} " if path else ""
        self._listed = {
            found.removeprefix(begin): found
            for found in COMMANDS
            if found.rpartition(" ")[0] == path
        }
        for below in _HELP if not path else ():
            if below:
                self.add_command(CommandGroup(below, make_environment, path=below))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self._listed, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, with all that it needs imported."""
        if cmd_name in self._listed and cmd_name not in self.commands:
            path = self._listed[cmd_name]
            import_module(f".{COMMANDS[path][0]}", __name__)
            builders = import_module(".command", __name__).BUILDERS
            self.add_command(builders[path](self._make_environment))
        return super().get_command(ctx, cmd_name)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands for `--help`, without importing them."""
        listed: dict[str, click.Command] = {
            name: click.Command(name, help=COMMANDS[path][1])
            for name, path in self._listed.items()
        }
        named = click.Group(self.name, commands={**listed, **self.commands})
        named.format_commands(ctx, formatter)


class LoadingGroup(CommandGroup):
    """The group that `flask` finds through its entry point, before there is an app."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of our commands, or one that the app added to its own group."""
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        own = import_module(".load_app", __name__).app_command(ctx, self.name or "")
        return own.get_command(ctx, cmd_name) if isinstance(own, click.Group) else None


def make_group(
    name: str,
    make_environment: MakeEnvironment,
    kind: type[CommandGroup] = CommandGroup,
) -> click.Group:
    """Return the command group. make_environment: as `extension.environment_of`."""
    return kind(name, make_environment)
