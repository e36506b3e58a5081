"""Restoring both databases from one backup, in an order that survives a kill.

First every side loads its part into a staging area. Then the side that can decide
atomically commits, and leaves its mark; the other one follows, by renames that are
recorded beforehand. After a kill before the commit, nothing was changed; after a later
kill, the next `restore` continues from the record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from uuid import uuid4

from ..backend import Storages
from ..backend.restorer import Kept, Replacement, Restorer, Unfinished
from ..backups import BackupFolder, Manifest
from ..errors import (
    DualMigrateError,
    IntegrityError,
    LockLost,
    OutcomeUnknown,
    UsageError,
)
from ..revisions import BackendName
from ..runtime.events import since_ms, tell
from .plan import States
from .restore_reach import part_of

log = logging.getLogger(__name__)


def decided(states: States) -> Unfinished | None:
    """Return the restore that is past the point of no return but not complete.

    If the partner of the side that keeps the record is not asked, it may be past it.
    """
    marks = {state.restored for state in states.values()}
    for state in states.values():
        begun = state.restoring
        if begun is None:
            continue
        alone = begun.partner and len(states) == 1
        if begun.switching or alone or begun.mark in marks:
            return begun
    return None


def refuse_half_restored(states: States) -> None:
    """Raise IntegrityError if a restore is half done: only `restore` may continue."""
    begun = decided(states)
    if begun is not None:
        raise IntegrityError(
            f"The restore of {begun.backup} is half done: part of the databases is "
            "restored, and part is not yet",
            hint=f"Carry it on with: flask db-migrate restore {begun.backup}",
        )


class Restoring:
    """One restore, of the sides in use; the caller holds their locks while it runs.

    Raises UsageError if the backup is not of these sides.
    """

    def __init__(
        self, storages: Storages, folder: BackupFolder, manifest: Manifest
    ) -> None:
        parts = {
            BackendName.POSTGRES: manifest.postgres,
            BackendName.MONGO: manifest.mongo,
        }
        missing = [name for name in storages if parts[name] is None]
        if missing:
            there = [name for name, part in parts.items() if part is not None]
            raise UsageError(
                f"Backup {manifest.name} holds no data of {missing[0].label}",
                hint=f"To restore what it holds, use --backend {there[0]}."
                if there
                else "See: flask db-migrate backup list",
            )
        self.manifest = manifest
        self._folder = folder
        self._restorers: dict[BackendName, Restorer] = {
            name: storage.restorer(folder, manifest, partner=len(storages) > 1)
            for name, storage in storages.items()
        }

    def require_whole(self, states: States) -> None:
        """Raise IntegrityError if the backup is damaged or belongs to another pair."""
        self._folder.require_whole(self.manifest)
        self.require_fitting(states)
        for restorer in self._restorers.values():
            restorer.check()

    def require_fitting(self, states: States) -> None:
        """Raise IntegrityError if the databases are not the backup's pair."""
        ids = {state.pair_id for state in states.values()} - {None}
        if self.manifest.pair_id is not None and ids - {self.manifest.pair_id}:
            raise IntegrityError(
                f"Backup {self.manifest.name} belongs to other databases: they were "
                "migrated with another partner",
                hint="Look at DATABASE_URL and MONGO_URI, and at DUALMIGRATE_BACKUP_"
                "DIR.",
            )

    def replacements(self) -> tuple[Replacement, ...]:
        """Return what would be replaced, PostgreSQL first."""
        return tuple(
            found
            for name in sorted(self._restorers, reverse=True)
            for found in self._restorers[name].replacements()
        )

    def run(self) -> tuple[Kept, ...]:
        """Restore; return what was created since the backup and is kept."""
        mark, started = uuid4().hex, time.monotonic()
        sides = sorted(self._restorers.values(), key=lambda each: each.atomic)
        kept = self._decide(sides, mark)
        for restorer in reversed(sides[:-1]):
            kept += restorer.switch(mark)
        took_ms = since_ms(started)
        tell(
            log,
            "restored",
            f"restored {self.manifest.name} in {took_ms} ms",
            backup=self.manifest.name,
            backends=[*self._restorers],
            duration_ms=took_ms,
        )
        return tuple(kept)

    def _decide(self, sides: Sequence[Restorer], mark: str) -> list[Kept]:
        """Load all sides and switch the last one; if that fails, leave nothing."""
        try:
            for restorer in sides:
                restorer.load(mark)
            return [*sides[-1].switch(mark)]
        except (OutcomeUnknown, LockLost):
            raise  # not known, or no longer ours: the next restore checks
        except Exception as error:
            for restorer in sides:
                try:
                    restorer.discard(mark)
                except DualMigrateError as other:
                    error.add_note(f"The data it had loaded is still there: {other}")
            raise


def carry_on(storages: Storages, begun: Unfinished) -> tuple[Kept, ...]:
    """Complete a restore that was decided, without needing the backup itself."""
    if begun.partner and len(storages) == 1:
        raise UsageError(
            f"The restore of {begun.backup} covers both databases",
            hint="Carry it on without --backend: "
            f"flask db-migrate restore {begun.backup}",
        )
    kept = [
        found
        for storage in storages.values()
        for found in storage.finish_restore(begun.mark)
    ]
    tell(
        log,
        "restored",
        f"restored {begun.backup}, continuing where it had stopped",
        backup=begun.backup,
        backends=[*storages],
    )
    return tuple(kept)


def losses(
    manifest: Manifest, states: States, replaced: Sequence[Replacement]
) -> list[str]:
    """Return what a restore would do, one line each, for a person to confirm."""
    lines = [f"{name.label}: {_way(manifest, states, name)}" for name in states]
    return [*sorted(lines, reverse=True), *map(_line, replaced)]


def applied_then(manifest: Manifest, name: BackendName) -> tuple[str, ...]:
    part = part_of(manifest, name)
    return () if part is None else part.applied


def _way(manifest: Manifest, states: States, name: BackendName) -> str:
    then, now = set(applied_then(manifest, name)), states[name].applied
    parts = []
    if now - then:
        parts.append(f"{', '.join(sorted(now - then))} no longer applied")
    if then - now:
        parts.append(f"{', '.join(sorted(then - now))} applied again")
    return "; ".join(parts) or "the same revisions as now"


def _line(item: Replacement) -> str:
    noun = "rows" if item.backend is BackendName.POSTGRES else "documents"
    place = f"{item.name} on {item.backend.label}"
    if item.then is None and item.now is None:
        return f"{place}: removed, as it was created since"
    if item.then is None:
        fate = "kept aside" if item.kept else "lost"
        end = f"its {item.now:,} {noun} are {fate}" if item.now else "it is empty"
        return f"{place}: removed, as it was created since; {end}"
    if item.now is None:
        return f"{place}: created again, with {item.then:,} {noun}"
    return f"{place}: {item.now:,} {noun} now, {item.then:,} in the backup"
