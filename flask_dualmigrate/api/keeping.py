"""The verbs for indexes and backups."""

from __future__ import annotations

from .. import (
    backup_commands,
    index_commands,
    restores,
)
from ..backup_results import (
    BackupCreateResult,
    BackupListResult,
    BackupPruneResult,
    BackupVerifyResult,
)
from ..indexes import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
)
from ..results import (
    RestoreResult,
)
from .parts import parts


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
    """Compare the indexes that are declared with those there are; `.ok` if alike."""
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
    """Make the indexes there are those that are declared, or say what that would do."""
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
    """Drop an index; on MongoDB it is hidden first, and that long."""
    env = parts(directory, backend=backend)
    return index_commands.drop_index(env, collection, name, hidden_for_s=hidden_for_s)


def index_rebuild(
    collection: str,
    name: str,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> IndexRebuildResult:
    """Build an index anew, with never a moment without it."""
    env = parts(directory, backend=backend)
    return index_commands.rebuild_index(env, collection, name)


def restore(
    backup: str,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> RestoreResult:
    """Bring the databases back to the state and the revision of a backup.

    backup: its name, the begin of it, or "latest". What was written since is lost.
    """
    return restores.restore(parts(directory, backend=backend), backup)


def backup_create(
    directory: str | None = None, *, backend: str | None = None
) -> BackupCreateResult:
    """Back the databases in use up now, whole."""
    return backup_commands.create(parts(directory, backend=backend))


def backup_list(directory: str | None = None) -> BackupListResult:
    """List the backups, oldest first."""
    return backup_commands.list_backups(parts(directory))


def backup_verify(
    directory: str | None = None, name: str | None = None
) -> BackupVerifyResult:
    """Compare the files of a backup, or of all, with their checksums; see `.ok`."""
    return backup_commands.verify(parts(directory), name)


def backup_prune(directory: str | None = None, *, keep: int) -> BackupPruneResult:
    """Remove all backups but the `keep` newest, and what killed runs left."""
    return backup_commands.prune(parts(directory), keep)
