"""What a side has according to its journal, and the options for what is half done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from .journal import Entry
from .restorer import Unfinished


@dataclasses.dataclass(frozen=True)
class State:
    """The state of one side, read without changing anything.

    applied: ids of the revisions that are applied, including those that the tree does
    not know. entries: revision id -> the last attempt at it.
    pair_id: the random id that both sides of a pair hold; None before the first run.
    rows: of the version table, as they are; () if there is none, as in MongoDB.
    restoring: a restore that was begun there; restored: the mark of the last one.
    unused: it was given that id, but nothing has been run or marked there since. lost:
    it has no entries, but had some: the journal was dropped. has_journal: False if the
    journal that belongs to a version table is missing: before the first run, or after
    the journal was dropped.
    """

    applied: frozenset[str]
    entries: Mapping[str, Entry]
    pair_id: str | None = None
    rows: tuple[str, ...] = ()
    has_journal: bool = True
    restoring: Unfinished | None = None
    restored: str | None = None
    unused: bool = False
    lost: bool = False

    def says_applied(self, revision_id: str) -> bool:
        """Return whether the journal records a revision as applied."""
        entry = self.entries.get(revision_id)
        return entry is None or entry.applied

    def open_entries(self) -> tuple[Entry, ...]:
        """Return the attempts that were begun and neither finished nor undone."""
        return tuple(entry for entry in self.entries.values() if entry.open)


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A step that a crash left begun, and that may or may not have done its work.

    failed: it reported a failure, but may still have done some of its work.
    """

    step: int
    verb: str
    began: datetime | None
    by: str
    host: str
    failed: bool


@dataclasses.dataclass(frozen=True)
class Ways:
    """What can be done with an open attempt.

    not_on: why it cannot be continued; not_back: why it cannot be fully undone. None if
    it can, as far as the journal and the script show.
    """

    not_on: str | None = None
    not_back: str | None = None
