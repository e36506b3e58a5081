"""What the `index` verbs return."""

from __future__ import annotations

import dataclasses

from ..revision import BackendName
from .values import Difference, FoundIndex, Remedy, Verdict

_NO_FAULT = (Verdict.OK, Verdict.NOT_COMPARED)
"""What could not be compared is told, and is no difference."""


@dataclasses.dataclass(frozen=True)
class IndexListResult:
    """What `index list` found. notes: what could not be listed, a line each."""

    indexes: tuple[FoundIndex, ...]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class IndexDiffResult:
    """What `index diff` found: a difference for each index, those that are OK too."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(item.verdict in _NO_FAULT for item in self.differences)


@dataclasses.dataclass(frozen=True)
class SyncAction:
    """One thing that `index sync` did, or with --dry-run would do."""

    backend: BackendName
    place: str
    name: str
    action: Remedy
    text: str


@dataclasses.dataclass(frozen=True)
class IndexSyncResult:
    """What `index sync` did, and what still differs.

    dry_run: nothing was touched. remaining: what is not as declared; undeclared
    indexes that nobody asked to drop are among them, and are no fault, nor are those
    that could not be compared.
    """

    actions: tuple[SyncAction, ...]
    remaining: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        no_fault = (*_NO_FAULT, Verdict.UNDECLARED)
        return self.dry_run or all(item.verdict in no_fault for item in self.remaining)


@dataclasses.dataclass(frozen=True)
class IndexDropResult:
    """What `index drop` dropped."""

    backend: BackendName
    place: str
    name: str


@dataclasses.dataclass(frozen=True)
class IndexRebuildResult:
    """What `index rebuild` built anew, and how long it took."""

    backend: BackendName
    place: str
    name: str
    duration_ms: int
