"""Making a backup before a run: of what, how much and where."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ..backend import BackupItem, Extent, Storages
from ..backups import BackupStore, Manifest, MongoPart, PostgresPart, Scope
from ..errors import UsageError
from ..revisions import Direction
from ..runtime.crashpoints import around
from ..runtime.events import since_ms, tell
from ..text import own_version, size
from .plan import Plan, States

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class BackupChoice:
    """Which parts of the databases a run backs up first.

    scope: None: nothing. max_bytes: a larger backup is refused; None: a person allowed
    any size.
    """

    scope: Scope | None
    max_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Foreseen:
    """What a backup would hold; no extents: no backup is wanted."""

    extents: tuple[Extent, ...]

    @property
    def held(self) -> tuple[Extent, ...]:
        """The extents of the sides that can be backed up from here."""
        return tuple(e for e in self.extents if e.items or not e.why)

    @property
    def is_needed(self) -> bool:
        """Whether anything that the plan touches holds data."""
        return any(extent.data for extent in self.extents)

    @property
    def size_bytes(self) -> int:
        return sum(extent.size_bytes for extent in self.extents)

    @property
    def words(self) -> str:
        """Return its contents in words, as part of a sentence."""
        parts = [_words(extent) for extent in reversed(self.extents)]
        return " and ".join(part for part in parts if part)


class Backups:
    """Takes the backups of a run, into a store.

    on_backup: called with what is backed up, then with its path, to show a person.
    """

    def __init__(
        self,
        storages: Storages,
        store: BackupStore,
        choice: BackupChoice,
        *,
        on_backup: Callable[[str], None] | None = None,
    ) -> None:
        self._storages = storages
        self._store = store
        self._choice = choice
        self._on_backup = on_backup or (lambda text: None)

    def foresee(self, plan: Plan) -> Foreseen:
        """Return what a backup before a plan would hold; nothing is written."""
        return self._extents(plan) if plan.steps else Foreseen(())

    def _extents(self, plan: Plan) -> Foreseen:
        scope = self._choice.scope
        if scope is None:
            return Foreseen(())
        return Foreseen(
            tuple(
                storage.extent([s for s in plan.steps if name in s.backends], scope)
                for name, storage in self._storages.items()
            )
        )

    def words(self, plan: Plan) -> tuple[str | None, str | None]:
        """Return in words what a backup would hold, and why it would be refused.

        None: no backup is made; it is not refused for its size.
        """
        foreseen = self.foresee(plan)
        if not foreseen.is_needed:
            return None, None
        what = f"{foreseen.words} ({size(foreseen.size_bytes)})"
        limit = self._choice.max_bytes
        if limit is None or foreseen.size_bytes <= limit:
            return what, None
        return what, (
            f"DUALMIGRATE_BACKUP_MAX_BYTES is {size(limit)}; --backup touched makes it "
            "anyway, --no-backup skips it"
        )

    def require(self, plan: Plan) -> Foreseen:
        """Raise, before anything is changed, if the backup cannot be made.

        Raises UsageError for one that is too large, BackupError for the rest.
        """
        foreseen = self.foresee(plan)
        if not foreseen.is_needed:
            return foreseen
        limit = self._choice.max_bytes
        if limit is not None and foreseen.size_bytes > limit:
            raise too_large(foreseen, limit, plan.direction)
        self._require_means(foreseen)
        return foreseen

    def _require_means(self, foreseen: Foreseen) -> None:
        for extent in foreseen.held:
            self._storages[extent.backend].require_dump()
        self._store.prepare()

    def make(self, states: States) -> Manifest:
        """Make a backup outside of a run, even of empty databases."""
        plan = Plan(Direction.UPGRADE, "", ())
        foreseen = self._extents(plan)
        self._require_means(foreseen)
        return self._make(plan, states, foreseen)

    def take(self, plan: Plan, states: States) -> Manifest | None:
        """Make the backup; None if there is nothing to back up."""
        foreseen = self.require(plan)
        for extent in foreseen.extents:
            if extent not in foreseen.held:
                self._on_backup(f"No backup of {extent.why}")
        if not foreseen.is_needed:
            if foreseen.held:
                self._on_backup("No backup: nothing that this run touches holds data")
            return None
        return self._make(plan, states, foreseen)

    def _make(self, plan: Plan, states: States, foreseen: Foreseen) -> Manifest:
        self._on_backup(f"Backing up {foreseen.words} ({size(foreseen.size_bytes)})")
        started = time.monotonic()
        manifest = self._write(plan, states, foreseen)
        took_ms = since_ms(started)
        tell(
            log,
            "backup_made",
            f"backup {manifest.name} made in {took_ms} ms",
            backup=manifest.name,
            backends=[extent.backend for extent in foreseen.extents],
            size_bytes=manifest.size_bytes,
            duration_ms=took_ms,
        )
        self._on_backup(f"Backup {manifest.name} ({size(manifest.size_bytes)})")
        return manifest

    @around("backup.take")
    def _write(self, plan: Plan, states: States, foreseen: Foreseen) -> Manifest:
        now = datetime.now(UTC)  # two backups of the same second have an order too
        ids = [step.revision.id for step in plan.steps]
        parts: dict[type, PostgresPart | MongoPart] = {}
        versions = {"flask_dualmigrate": own_version()}
        pair_ids = [s.pair_id for s in states.values() if s.pair_id]
        with self._store.new(plan.direction, ids, now) as folder:
            for extent in foreseen.held:
                applied = sorted(states[extent.backend].applied)
                dumped = self._storages[extent.backend].dump(folder, extent, applied)
                parts[type(dumped.part)] = dumped.part
                versions |= dumped.versions
            manifest = Manifest(
                name=folder.path.name,
                created_at=now,
                direction=plan.direction,
                plan=tuple(ids),
                scope=foreseen_scope(foreseen),
                pair_id=pair_ids[0] if pair_ids else None,
                versions=versions,
                files=tuple(folder.files),
                postgres=parts.get(PostgresPart),  # type: ignore[arg-type]
                mongo=parts.get(MongoPart),  # type: ignore[arg-type]
            )
            folder.finish(manifest)
        return manifest


def foreseen_scope(foreseen: Foreseen) -> Scope:
    """Return ALL if all sides are backed up whole."""
    whole = all(extent.scope is Scope.ALL for extent in foreseen.extents)
    return Scope.ALL if whole else Scope.TOUCHED


def too_large(foreseen: Foreseen, limit: int, direction: Direction) -> UsageError:
    return UsageError(
        f"The backup before this {direction} would be of {size(foreseen.size_bytes)}, "
        f"and DUALMIGRATE_BACKUP_MAX_BYTES is {size(limit)}; nothing was changed. It "
        f"would hold {foreseen.words}",
        hint="To make it anyway: --backup touched; to skip it: --no-backup",
    )


def _words(extent: Extent) -> str:
    if not extent.items:
        return ""
    if extent.scope is Scope.ALL:
        because = f" (since {extent.why})" if extent.why else ""
        return f"the whole database on {extent.backend.label}{because}"
    names = [_name(item) for item in extent.data]
    if not names:
        return f"the journal on {extent.backend.label}"
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" * (len(names) > 5))
    return f"{shown} on {extent.backend.label}"


def _name(item: BackupItem) -> str:
    return (
        item.name if item.schema in (None, "public") else f"{item.schema}.{item.name}"
    )
