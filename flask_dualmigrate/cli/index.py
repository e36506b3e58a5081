"""The index commands, and the progress of a build on stderr."""

from __future__ import annotations

import logging
import time
from typing import Any

import click

from ..environment import Environment
from ..indexes import BuildProgress, OnBuild
from ..runtime.events import tell
from ..verbs import index
from .command import argument, command, option
from .confirm import ask
from .output import say

log = logging.getLogger(__name__)

_PLACE = click.Argument(["collection"], required=False)
_DRY_RUN = option(
    "--dry-run",
    is_flag=True,
    help="Show what would be done, without changing anything.",
)


@command("index list", _PLACE, scope=True)
def _list(env: Environment, collection: str | None) -> Any:
    """List indexes: key, options, size and usage."""
    return index.list_indexes(env, collection)


@command("index diff", _PLACE, scope=True)
def _diff(env: Environment, collection: str | None) -> Any:
    """Compare the declared indexes with the existing ones (exit code 3)."""
    return index.diff_indexes(env, collection)


@command(
    "index sync",
    _PLACE,
    option("--drop-undeclared", is_flag=True, help="Also drop undeclared indexes."),
    _DRY_RUN,
    asks=True,
    scope=True,
)
def _sync(
    env: Environment,
    collection: str | None,
    drop_undeclared: bool,
    dry_run: bool,
    yes: bool,
) -> Any:
    """Make the existing indexes match the declared ones, missing ones first."""
    return index.sync_indexes(
        env,
        collection,
        drop_undeclared=drop_undeclared,
        dry_run=dry_run,
        confirm=None if yes else ask,
        on_build=_on_build(),
    )


@command(
    "index drop",
    argument("collection"),
    argument("name"),
    option(
        "--hide",
        "hidden_for_s",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="Keep it hidden this long before the drop (MongoDB); Ctrl-C restores it.",
    ),
    asks=True,
    scope=True,
)
def _drop(
    env: Environment, collection: str, name: str, hidden_for_s: float, yes: bool
) -> Any:
    """Drop an index; on MongoDB, hide it first."""
    confirm = None if yes else ask
    return index.drop_index(
        env, collection, name, hidden_for_s=hidden_for_s, confirm=confirm
    )


@command("index rebuild", argument("collection"), argument("name"), scope=True)
def _rebuild(env: Environment, collection: str, name: str) -> Any:
    """Rebuild an index without ever being without it."""
    return index.rebuild_index(env, collection, name, on_build=_on_build())


def _on_build() -> OnBuild:
    """Return the progress reporter of a build; None with --quiet."""
    given = click.get_current_context().params
    if given.get("quiet"):
        return lambda progress: None
    return BuildLines(as_events=given.get("log_format") == "json")


class BuildLines:
    """Reports the progress of a build on stderr, once a second.

    as_events: report as events, which become JSON lines.
    """

    def __init__(self, *, as_events: bool = False) -> None:
        self._as_events = as_events
        self._last_s = 0.0

    def __call__(self, progress: BuildProgress) -> None:
        now = time.monotonic()
        if now - self._last_s < 0.9:
            return
        self._last_s = now
        counted = ""
        if progress.done is not None and progress.total:
            counted = f": {progress.done:,} of {progress.total:,} {progress.unit}"
        place = f"{progress.place}.{progress.name}"
        text = f"Building {place}: {progress.phase}{counted}"
        if not self._as_events:
            say(f"  {text}")
            return
        tell(
            log,
            "progress",
            text,
            backend=progress.backend,
            operation="create index",
            collection=progress.place,
            documents=progress.done,
            total=progress.total,
        )
