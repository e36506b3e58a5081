"""What the verbs of `backup` return: values that the console prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from .backups import Checked, Scope
from .revision import BackendName, Direction


@dataclasses.dataclass(frozen=True)
class ListedBackup:
    """One backup. revisions: that the run was to do, in order; none: made by hand.

    scope: touched, or all. applied: what each side had, which a restore brings back.
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

    unusable: names of folders that are no backup, or none that can be read.
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
