"""Backups on disk: their folders, manifests and retention.

No database driver is used here: the wings define what the databases write to a backup
and read from it.
"""

from __future__ import annotations

from .folder import BackupFolder
from .manifest import (
    BackedCollection,
    BackedTable,
    Manifest,
    MongoPart,
    PostgresPart,
    Scope,
)
from .store import BackupStore, Checked

__all__ = [
    "BackedCollection",
    "BackedTable",
    "BackupFolder",
    "BackupStore",
    "Checked",
    "Manifest",
    "MongoPart",
    "PostgresPart",
    "Scope",
]
