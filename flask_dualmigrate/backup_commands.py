"""The verbs of `backup`: make one now, list, verify and prune them."""

from __future__ import annotations

from .backup_results import (
    BackupCreateResult,
    BackupListResult,
    BackupPruneResult,
    BackupVerifyResult,
    ListedBackup,
)
from .backups import Manifest, Scope
from .environment import Environment
from .errors import UsageError
from .revision import BackendName
from .run.options import Confirm
from .units import size


def create(env: Environment) -> BackupCreateResult:
    """Back the whole of the sides in use up, under the locks of a migration."""
    env.back_up(str(Scope.ALL))
    return BackupCreateResult(_listed(env.make_backup()))


def list_backups(env: Environment) -> BackupListResult:
    """List the backups, oldest first."""
    store = env.backup_store
    found = tuple(_listed(manifest) for manifest in store.list())
    names = {backup.name for backup in found}
    broken = tuple(name for name in store.names() if name not in names)
    return BackupListResult(str(store.root), found, broken)


def verify(env: Environment, name: str | None = None) -> BackupVerifyResult:
    """Compare the files of a backup, or of all, with what was written.

    And read what is of MongoDB in them, as a restore does.
    """
    return BackupVerifyResult(env.backup_store.verify(name))


def prune(
    env: Environment, keep: int, *, confirm: Confirm | None = None
) -> BackupPruneResult:
    """Remove all backups but the newest, and what killed runs left.

    keep: how many stay. Raises UsageError for a negative number, and what `confirm`
    raises.
    """
    if keep < 0:
        raise UsageError(
            f"--keep is a number of backups, not {keep}",
            hint="Say how many of the newest stay: 0 or more.",
        )
    store = env.backup_store
    old, left_over = store.prunable(keep)
    if confirm is not None and old:
        confirm([f"{each.name} ({size(each.size_bytes)})" for each in old])
    for each in old:
        store.remove(each.name)
    for name in left_over:
        store.remove(name)
    return BackupPruneResult(tuple(map(_listed, old)), left_over)


def _listed(manifest: Manifest) -> ListedBackup:
    return ListedBackup(
        name=manifest.name,
        created_at=manifest.created_at,
        revisions=manifest.plan,
        size_bytes=manifest.size_bytes,
        direction=manifest.direction,
        scope=manifest.scope,
        applied={
            name: part.applied
            for name, part in (
                (BackendName.POSTGRES, manifest.postgres),
                (BackendName.MONGO, manifest.mongo),
            )
            if part is not None
        },
    )
