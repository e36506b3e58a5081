"""The command that proves revisions on scratch databases."""

from __future__ import annotations

from typing import Any

import click

from .. import proving
from ..environment import Environment
from .command import command, option


@command(
    "test",
    click.Argument(["revisions"], nargs=-1),
    option("--all", "all_", is_flag=True, help="Prove each revision of the tree."),
    option("--since", metavar="REV", help="Prove the revisions above this one."),
    option(
        "--data", is_flag=True, help="Put in rows and documents of edge values first."
    ),
    option(
        "--sample",
        type=click.IntRange(min=1),
        metavar="N",
        help="Copy N rows or documents of each real table or collection first.",
    ),
    option(
        "--embedded",
        is_flag=True,
        help="Prove on embedded servers, not beside the real databases.",
    ),
    option("--keep", is_flag=True, help="Leave the scratch databases, and name them."),
    option(
        "--strict",
        is_flag=True,
        help="Count a revision that has no way down as different (3).",
    ),
    scope=True,
)
def _test(
    env: Environment,
    revisions: tuple[str, ...],
    all_: bool,
    since: str | None,
    sample: int | None,
    **ways: Any,
) -> Any:
    """Prove revisions on scratch databases: up, down, up (what is pending)."""
    return proving.prove(
        env,
        revisions,
        all_=all_,
        since=since,
        ways=proving.Ways(sample=sample or 0, **ways),
    )
