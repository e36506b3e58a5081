"""What `backup` made, found and removed."""

from __future__ import annotations

import dataclasses

from flask_dualmigrate.backups import Checked, Scope
from flask_dualmigrate.results import (
    BackupCreateResult,
    BackupListResult,
    BackupPruneResult,
    BackupVerifyResult,
    ListedBackup,
)
from flask_dualmigrate.revisions import Direction

from .inspect import NOON

BACKUP = ListedBackup("b1", NOON, ("ab12",), 2048, Direction.UPGRADE, Scope.TOUCHED, {})
BY_HAND = dataclasses.replace(BACKUP, name="b2", revisions=(), scope=Scope.ALL)
OF_MANY = dataclasses.replace(BACKUP, name="b3", revisions=("a", "b", "c", "d", "e"))

TEXTS = [
    (BackupCreateResult(BY_HAND), "Made backup b2 (2.0 KiB)"),
    (BackupListResult("/b", ()), "There are no backups in /b."),
    (
        BackupListResult("/b", (BACKUP, BY_HAND, OF_MANY), ("b0",)),
        f"Backup  {'Made':<20}  {'Before':<26}  {'Holds':<15}  Size\n"
        f"------  {'-' * 20}  {'-' * 26}  {'-' * 15}  -------\n"
        "b1      2026-11-21 12:30:01Z  upgrade ab12                what it touches  "
        "2.0 KiB\n"
        "b2      2026-11-21 12:30:01Z  -                           all              "
        "2.0 KiB\n"
        "b3      2026-11-21 12:30:01Z  upgrade a, b, c and 2 more  what it touches  "
        "2.0 KiB\n"
        "\n"
        "3 backups in /b, 6.0 KiB.\n"
        "b0 is not a complete backup. See: flask db-migrate backup verify",
    ),
    (BackupVerifyResult(()), "There are no backups."),
    (
        BackupVerifyResult(
            (Checked("b1", ()), Checked("b2", (), True), Checked("b3", ("a is gone",)))
        ),
        "b1: whole\nb2: being made\nb3: a is gone",
    ),
    (BackupPruneResult((), ()), "Nothing was removed."),
    (
        BackupPruneResult((BACKUP,), ("b0",)),
        "Removed b1 (2.0 KiB)\nRemoved b0, left by a killed run",
    ),
]
