"""Backups on disk: their folders, manifests and retention.

No driver is in here: what the databases write into a backup, and read from it, is said
by their wings.
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
