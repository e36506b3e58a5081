"""The `index` verbs as functions."""

from __future__ import annotations

from ..verbs import index as index_commands
from ..verbs.index import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
)
from .environment import parts


def index_list(
    collection: str | None = None,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexListResult:
    """List the indexes of one collection or table, or of all."""
    env = parts(directory, backend=backend)
    return index_commands.list_indexes(env, collection)


def index_diff(
    collection: str | None = None,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexDiffResult:
    """Compare the declared indexes with the existing ones; `.ok` if they match."""
    env = parts(directory, backend=backend)
    return index_commands.diff_indexes(env, collection)


def index_sync(
    collection: str | None = None,
    *,
    drop_undeclared: bool = False,
    dry_run: bool = False,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexSyncResult:
    """Make the existing indexes match the declared ones, or show what that would do."""
    return index_commands.sync_indexes(
        parts(directory, backend=backend),
        collection,
        drop_undeclared=drop_undeclared,
        dry_run=dry_run,
    )


def index_drop(
    collection: str,
    name: str,
    *,
    hidden_for_s: float = 0.0,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexDropResult:
    """Drop an index; on MongoDB, hide it first, for `hidden_for_s`."""
    env = parts(directory, backend=backend)
    return index_commands.drop_index(env, collection, name, hidden_for_s=hidden_for_s)


def index_rebuild(
    collection: str,
    name: str,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexRebuildResult:
    """Rebuild an index without ever being without it."""
    env = parts(directory, backend=backend)
    return index_commands.rebuild_index(env, collection, name)
