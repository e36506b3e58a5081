"""The verbs of `backup`: make one now, list, verify and prune them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from ..backups import Checked, Manifest, Scope
from ..environment import Environment
from ..errors import UsageError
from ..revisions import BackendName, Direction
from ..run.options import Confirm
from ..text import size


@dataclasses.dataclass(frozen=True)
class ListedBackup:
    """One backup. revisions: those the run had to do, in order; none: made by hand.

    scope: touched, or all. applied: what each side had, which a restore returns to.
    """

    name: str
    created_at: datetime
    revisions: tuple[str, ...]
    size_bytes: int
    direction: Direction
    scope: Scope
    applied: Mapping[BackendName, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class BackupCreateResult:
    """What `backup create` made."""

    backup: ListedBackup


@dataclasses.dataclass(frozen=True)
class BackupListResult:
    """What `backup list` found in a folder, oldest first.

    unusable: names of folders that are not a backup, or cannot be read.
    """

    folder: str
    backups: tuple[ListedBackup, ...]
    unusable: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class BackupVerifyResult:
    """What `backup verify` found; `ok` if every file is what was written."""

    backups: tuple[Checked, ...]

    @property
    def ok(self) -> bool:
        return all(checked.ok for checked in self.backups)


@dataclasses.dataclass(frozen=True)
class BackupPruneResult:
    """What `backup prune` removed. left_over: folders that killed runs left."""

    removed: tuple[ListedBackup, ...]
    left_over: tuple[str, ...]


def create(env: Environment) -> BackupCreateResult:
    """Back up the whole sides in use, under the locks of a migration."""
    env.run.back_up(str(Scope.ALL))
    return BackupCreateResult(_listed(env.run.make_backup()))


def list_backups(env: Environment) -> BackupListResult:
    """List the backups, oldest first."""
    store = env.backup_store
    found = tuple(_listed(manifest) for manifest in store.list())
    names = {backup.name for backup in found}
    broken = tuple(name for name in store.names() if name not in names)
    return BackupListResult(str(store.root), found, broken)


def verify(env: Environment, name: str | None = None) -> BackupVerifyResult:
    """Compare the files of a backup, or of all, with what was written.

    Also reads the MongoDB part as a restore does.
    """
    return BackupVerifyResult(env.backup_store.verify(name))


def prune(
    env: Environment, keep: int, *, confirm: Confirm | None = None
) -> BackupPruneResult:
    """Remove all backups except the newest, and what killed runs left.

    keep: how many stay. Raises UsageError for a negative number, and what `confirm`
    raises.
    """
    if keep < 0:
        raise UsageError(
            f"--keep must be a number of backups, not {keep}",
            hint="Give the number of newest backups to keep: 0 or more.",
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
