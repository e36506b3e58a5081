"""The commands that write scripts."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import click

from ..environment import Environment
from ..errors import DualMigrateError, UsageError, redact
from ..verbs import lint, write_scripts
from ..verbs.write_scripts import RevisionResult
from .command import argument, command, option
from .confirm import has_terminal
from .output import say
from .views.lint import in_one_line

_HEADER = (
    option("--head", default="head", help="The revision to follow."),
    option(
        "--splice",
        is_flag=True,
        help="Allow it to follow a revision that is not a head.",
    ),
    option("--branch-label", help="A label for the branch that begins here."),
    option(
        "--depends-on", multiple=True, help="A revision that must be applied first."
    ),
    option("--rev-id", help="The revision id, instead of a random one."),
)


@command("init")
def _init(env: Environment) -> Any:
    """Create the migrations directory, or complete an existing one."""
    return write_scripts.init(env)


@command(
    "revision",
    option("-m", "--message", default="", help="What it changes."),
    option("--autogenerate", is_flag=True, help="Write the changes of the models."),
    option("--pair", help="Write the missing partner of this revision."),
    *_HEADER,
)
def _revision(env: Environment, **options: Any) -> Any:
    """Write a new revision: an Alembic script and a Mongo script."""
    return _warn(env, write_scripts.revision(env, **options))


@command(
    "migrate", option("-m", "--message", default="", help="What it changes."), *_HEADER
)
def _migrate(env: Environment, **options: Any) -> Any:
    """Write a revision from the models (`revision --autogenerate`)."""
    return _warn(env, write_scripts.revision(env, autogenerate=True, **options))


@command("edit", argument("revision", "head"))
def _edit(env: Environment, revision: str) -> Any:
    """Open both scripts of a revision in $EDITOR."""
    paths = write_scripts.script_paths(env, revision)
    named = any(os.environ.get(key) for key in ("VISUAL", "EDITOR"))
    if not named and not has_terminal():
        raise UsageError(
            "There is no terminal to open an editor in", hint="Set EDITOR to an editor."
        )
    for path in paths:
        click.edit(filename=path)
    return "\n".join(f"Edited {path}" for path in paths)


@command(
    "merge",
    click.Argument(["revisions"], nargs=-1),
    option("-m", "--message", default="", help="What it joins."),
    option("--branch-label", help="A label for the branch that begins here."),
    option("--rev-id", help="The revision id, instead of a random one."),
)
def _merge(env: Environment, revisions: tuple[str, ...], **options: Any) -> Any:
    """Write a revision that joins several heads."""
    return write_scripts.merge(env, revisions or ("heads",), **options)


def _warn(env: Environment, written: RevisionResult) -> RevisionResult:
    """Print lint findings for newly written scripts on stderr, below the result."""
    if written.revision is None:
        return written
    try:
        found = lint.lint_written(env, written.revision.id).findings
    except DualMigrateError:  # the next command reports a script that does not load
        return written
    if found:
        said = [f"Warning: {in_one_line(finding)}" for finding in found]
        said.append(f"{_MORE}: flask db-migrate lint {written.revision.id}")
        context = click.get_current_context()
        for line in reversed(said):  # callbacks run in reverse order
            context.call_on_close(partial(say, redact(line)))
    return written


_MORE = "What to write instead and how to allow it"
