"""What a side says of itself, of a plan, and of what it holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from ..backups import MongoPart, PostgresPart, Scope
from ..revisions import BackendName, Direction
from .journal import Entry
from .restorer import Unfinished

Counts = Mapping[str, int]
"""Table or collection -> how many rows or documents it has."""


@dataclasses.dataclass(frozen=True)
class State:
    """What one side has, read without changing anything.

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
        """Return whether the journal, where it knows a revision, has it as applied."""
        entry = self.entries.get(revision_id)
        return entry is None or entry.applied

    def open_entries(self) -> tuple[Entry, ...]:
        """Return the attempts that were begun and neither finished nor undone."""
        return tuple(entry for entry in self.entries.values() if entry.open)


class Dropped(NamedTuple):
    """A table that a script drops, or with a column one of its columns."""

    table: str
    schema: str | None = None
    column: str | None = None


@dataclasses.dataclass(frozen=True)
class Loss:
    """What a step takes away for good.

    what: the call or the operation. count: how much is there now, of `unit` (rows,
    values, documents); None: that could not be told. exact: False for an estimate.
    """

    what: str
    count: int | None = None
    unit: str = "rows"
    exact: bool = True

    def __str__(self) -> str:
        if self.count is None:
            return self.what
        about = "" if self.exact else "about "
        unit = self.unit.removesuffix("s") if self.count == 1 else self.unit
        return f"{self.what}: {about}{self.count:,} {unit}"


@dataclasses.dataclass(frozen=True)
class FieldFacts:
    """What a column or a field holds.

    nulls: how many rows or documents, of `total`, have no value there. types: the BSON
    types of the values; empty for a column.
    """

    nulls: int
    total: int
    types: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Failing:
    """Documents that an operation would stumble over.

    kind: conversion, collision, duplicate, validator or insert. count: documents;
    None: more than could be counted in time. samples: up to five, each the `_id` and,
    where it tells something, the value.
    fatal: the operation would fail; else they only deserve a look.
    """

    kind: str
    count: int | None
    samples: tuple[str, ...]
    fatal: bool = True


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What one operation would do, by what the database holds now.

    step: its number in the script, from 0.
    matches, writes: documents that it is about, and that it would write; None: not
    known. exact: False if these are the server's estimates.
    failing: documents that it would stumble over. problems: why it would fail, a
    sentence each; none where it would not. notes: what else is good to know.
    plan: how the server would find the documents, such as `IXSCAN _id_`.
    builds: True if it builds an index over what it matches, and writes no document.
    """

    step: int
    operation: str
    matches: int | None = None
    writes: int | None = None
    exact: bool = True
    failing: tuple[Failing, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    plan: str | None = None
    builds: bool = False


@dataclasses.dataclass(frozen=True)
class PlannedStep:
    """What one side would do for a step, in words or statements, a line each.

    forecasts: one a line, where the lines are operations.
    """

    backend: BackendName
    lines: tuple[str, ...]
    forecasts: tuple[Forecast, ...] = ()


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


@dataclasses.dataclass(frozen=True)
class Aside:
    """What one operation on MongoDB took away, kept in a collection of its own.

    holds: "values" or "conversions" of a field, "documents", or a whole "collection".
    collection, field: what it was taken from; field is None unless values are held.
    revision, direction, step, verb: of the operation.
    size_bytes: of its documents, before the server compresses them.
    since: when it was made; age_s: seconds since then, by the server's clock.
    for_downgrade: a downgrade of the revision would put it back; the others are what
        could not be put back, or what a downgrade took.
    needed: the revision is half done, and cannot go on without it.
    """

    name: str
    holds: str
    collection: str
    field: str | None
    revision: str
    direction: Direction
    step: int
    verb: str
    documents: int
    size_bytes: int
    since: datetime
    age_s: float
    for_downgrade: bool
    needed: bool


@dataclasses.dataclass(frozen=True)
class BackupItem:
    """A table or a collection that a backup is to hold. schema: None in MongoDB.

    size_bytes: as the server counts it. existed: False if it is not there: the plan
    makes it. own: it is of the journal, and no data of the app's.
    """

    name: str
    schema: str | None = None
    size_bytes: int = 0
    is_empty: bool = True
    existed: bool = True
    own: bool = False


@dataclasses.dataclass(frozen=True)
class Extent:
    """What a backup of one side is to hold.

    scope: ALL: the whole database; why: the reason, where nobody asked for all of it.
    """

    backend: BackendName
    scope: Scope
    items: tuple[BackupItem, ...]
    why: str | None = None

    @property
    def data(self) -> tuple[BackupItem, ...]:
        """What of it holds data of the app's."""
        return tuple(each for each in self.items if not (each.is_empty or each.own))

    @property
    def size_bytes(self) -> int:
        return sum(item.size_bytes for item in self.items)


@dataclasses.dataclass(frozen=True)
class Dumped:
    """What one side wrote into a backup. versions: of its server and its program."""

    part: PostgresPart | MongoPart
    versions: Mapping[str, str]
