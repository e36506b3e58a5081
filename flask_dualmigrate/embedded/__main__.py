"""Start, show and stop the embedded servers of a folder by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import DualMigrateError
from .servers import EmbeddedServers

_FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
_KNOWN_FOLDER = click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False, exists=True)
)


@click.group()
def embedded() -> None:
    """PostgreSQL and MongoDB from wheels, for development."""


@embedded.command()
@click.option(
    "--active",
    type=click.Choice(["postgres", "mongo", "both"]),
    default="both",
    show_default=True,
    help="Which server to start.",
)
@_FOLDER
def start(folder: Path, active: str) -> None:
    """Start the servers of FOLDER; they run until `stop`.

    Prints the variables that an app reads.
    """
    with EmbeddedServers(folder) as servers:
        if active != "mongo":
            click.echo(f"DATABASE_URL={servers.postgres_uri()}")
        if active != "postgres":
            click.echo(f"MONGO_URI={servers.mongo_uri()}")
        servers.keep(True)


@embedded.command()
@_KNOWN_FOLDER
def status(folder: Path) -> None:
    """Show which servers of FOLDER run."""
    servers = EmbeddedServers(folder).status()
    for server in servers:
        running = f"runs as process {server.pid}: {server.uri}"
        click.echo(f"{server.name:<10} {running if server.pid else 'stopped'}")
    if not servers:
        click.echo(f"No servers in {folder}.")


@embedded.command()
@_KNOWN_FOLDER
def stop(folder: Path) -> None:
    """Stop the servers of FOLDER, or let them go when their last user leaves."""
    servers = EmbeddedServers(folder)
    servers.keep(False)
    if servers.stop():
        click.echo("Stopped.")
    else:
        click.echo("Another process uses them: they stop when it ends.")


def main() -> None:
    """Run the command; print an error as one line, and exit with its code."""
    try:
        embedded(prog_name="python -m flask_dualmigrate.embedded")
    except DualMigrateError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
