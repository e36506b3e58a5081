"""What a side has by its journal, and what can be done with what is half done."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from .journal import Entry
from .restorer import Unfinished


@dataclasses.dataclass(frozen=True)
class State:
    """The state of one side, read without changing anything.

    applied: ids of the revisions that are applied, those that the tree does not know
    among them. entries: revision id -> the last attempt at it.
    pair_id: the random id that both sides of a pair hold; None before the first run.
    rows: of the version table, as they are; () where there is none, as in MongoDB.
    restoring: a restore that was begun there; restored: the mark of the last one.
    unused: it was given that id, and nothing was run or marked there since.
    lost: it has no entries, and had some: the journal was dropped.
    has_journal: False where what goes with a version table is not there: before the
        first run, or since the journal was dropped.
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
    """A step that a crash left begun, and that may have done its work or not.

    failed: it said that it failed, and may have done some of it all the same.
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

    not_on: why it cannot be carried on; not_back: why it cannot be taken back, all of
    it. None where it can, for all that the journal and the script tell.
    """

    not_on: str | None = None
    not_back: str | None = None
