"""The `backup` verbs, `restore` and `asides` as functions."""

from __future__ import annotations

from ..verbs import asides as asides_verb
from ..verbs import backup as backup_commands
from ..verbs import restore as restores
from ..verbs.asides import AsidesResult, PurgeResult
from ..verbs.backup import (
    BackupCreateResult,
    BackupListResult,
    BackupPruneResult,
    BackupVerifyResult,
)
from ..verbs.restore import RestoreResult
from .environment import parts


def asides(
    directory: str | None = None, *, purge_older_than: str | None = None
) -> AsidesResult | PurgeResult:
    """List the asides in MongoDB, or drop those of an age such as "30d" or more."""
    env = parts(directory)
    if purge_older_than is None:
        return asides_verb.asides(env)
    return asides_verb.purge_asides(env, purge_older_than)


def restore(
    backup: str,
    *,
    directory: str | None = None,
    backend: str | None = None,
) -> RestoreResult:
    """Restore the databases to the state and the revision of a backup.

    backup: its name, a prefix of it, or "latest". Data written since then is lost.
    """
    return restores.restore(parts(directory, backend=backend), backup)


def backup_create(
    directory: str | None = None, *, backend: str | None = None
) -> BackupCreateResult:
    """Back up the whole databases in use now."""
    return backup_commands.create(parts(directory, backend=backend))


def backup_list(directory: str | None = None) -> BackupListResult:
    """List the backups, oldest first."""
    return backup_commands.list_backups(parts(directory))


def backup_verify(
    directory: str | None = None, name: str | None = None
) -> BackupVerifyResult:
    """Compare the files of one backup, or of all, with their checksums; see `.ok`."""
    return backup_commands.verify(parts(directory), name)


def backup_prune(directory: str | None = None, *, keep: int) -> BackupPruneResult:
    """Remove all backups but the newest `keep`, and the remains of killed runs."""
    return backup_commands.prune(parts(directory), keep)
