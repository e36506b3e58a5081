"""`lint`, and what `revision` says of the scripts that it wrote."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ..environment import Environment
from ..errors import DualMigrateError, redact
from ..verbs import lint
from ..verbs.write_scripts import RevisionResult
from .command import command, option
from .output import say
from .views.lint import in_one_line


@command(
    "lint",
    click.Argument(["revisions"], nargs=-1, metavar="[REV|FROM:TO]..."),
    option("--since", metavar="REV", help="Only what comes after this revision."),
    option("--sql-only", is_flag=True, help="Only the Alembic scripts."),
    option("--mongo-only", is_flag=True, help="Only the Mongo scripts."),
    option(
        "--format",
        "format_",
        type=click.Choice(["text", "json", "github"]),
        default="text",
        help="github: annotations of a pull request.",
    ),
)
def _lint(env: Environment, revisions: tuple[str, ...], **options: Any) -> Any:
    """Look for what is dangerous in the scripts (exit code 3).

    No database is needed. 0: nothing was found that a comment in the script does not
    allow; 3: something was.
    """
    return lint.lint(env, revisions, **options)


def warn(env: Environment, written: RevisionResult) -> RevisionResult:
    """Say on stderr, below the result, what lint finds in scripts just written."""
    if written.revision is None:
        return written
    try:
        found = lint.lint_written(env, written.revision.id).findings
    except DualMigrateError:  # a script that no command can load tells of itself
        return written
    if found:
        said = [f"Warning: {in_one_line(finding)}" for finding in found]
        said.append(f"{_MORE}: flask db-migrate lint {written.revision.id}")
        context = click.get_current_context()
        for line in reversed(said):  # the last one that is given is called first
            context.call_on_close(partial(say, redact(line)))
    return written


_MORE = "What to write instead, and how to allow it"
