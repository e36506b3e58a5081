"""How backups are shown."""

from __future__ import annotations

from collections.abc import Iterator

from ...text import counted, short_path, size, when
from ...verbs.backup import (
    BackupCreateResult,
    BackupListResult,
    BackupPruneResult,
    BackupVerifyResult,
    ListedBackup,
)
from .layout import json_of, lines, table

_SHOWN = 3


@lines.register
def _(result: BackupCreateResult) -> Iterator[str]:
    yield f"Made backup {result.backup.name} ({size(result.backup.size_bytes)})"


@lines.register
def _(result: BackupListResult) -> Iterator[str]:
    if not result.backups and not result.unusable:
        yield f"There are no backups in {short_path(result.folder)}."
        return
    if result.backups:
        rows = [["Backup", "Made", "Before", "Holds", "Size"]]
        rows += [_row(backup) for backup in result.backups]
        yield from table(rows)
        total = sum(backup.size_bytes for backup in result.backups)
        count, where = counted(len(result.backups), "backup"), short_path(result.folder)
        yield ""
        yield f"{count} in {where}, {size(total)}."
    for name in result.unusable:
        yield f"{name} is not a complete backup. See: flask db-migrate backup verify"


@json_of.register
def _(result: BackupListResult) -> object:
    return result.backups


@lines.register
def _(result: BackupVerifyResult) -> Iterator[str]:
    if not result.backups:
        yield "There are no backups."
    for checked in result.backups:
        if checked.ok:
            yield f"{checked.name}: {'being made' if checked.unfinished else 'whole'}"
        for problem in checked.problems:
            yield f"{checked.name}: {problem}"


@lines.register
def _(result: BackupPruneResult) -> Iterator[str]:
    if not result.removed and not result.left_over:
        yield "Nothing was removed."
    for backup in result.removed:
        yield f"Removed {backup.name} ({size(backup.size_bytes)})"
    for name in result.left_over:
        yield f"Removed {name}, left by a killed run"


def _row(backup: ListedBackup) -> list[str]:
    ids = backup.revisions
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    before = f"{backup.direction} {', '.join(ids[:_SHOWN])}{more}" if ids else "-"
    holds = "what it touches" if backup.scope == "touched" else "all"
    return [
        backup.name,
        when(backup.created_at),
        before,
        holds,
        size(backup.size_bytes),
    ]
