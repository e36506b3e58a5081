"""What is known about an index: as it exists, as it is declared, and the difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from ..revisions import BackendName

Key = tuple[tuple[str, Any], ...]
"""(field or expression, 1 | -1 | "text" | …), in order."""


class State(StrEnum):
    """The state of an existing index. INVALID: its build failed in PostgreSQL."""

    READY = "ready"
    HIDDEN = "hidden"
    BUILDING = "building"
    INVALID = "invalid"


class Verdict(StrEnum):
    """What a comparison says about one index."""

    OK = "OK"
    MISSING = "MISSING"
    CONFLICT = "CONFLICT"
    UNDECLARED = "UNDECLARED"
    BUILDING = "BUILDING"
    NOT_COMPARED = "NOT COMPARED"


class Remedy(StrEnum):
    """How to make an index match its declaration.

    MODIFY: collMod, nothing is built. REPLACE: the new index is built before the old
    one is dropped. NONE: not possible while the collection is in use.
    """

    CREATE = "create"
    MODIFY = "modify"
    REPLACE = "replace"
    DROP = "drop"
    WAIT = "wait"
    NONE = "none"


@dataclasses.dataclass(frozen=True)
class FoundIndex:
    """An existing index.

    place: the collection or the table. options: as the server shows them.
    size_bytes, uses, since: None if the server does not report it; `uses` counts from
    `since`. constraint: the PostgreSQL constraint that it belongs to.
    """

    backend: BackendName
    place: str
    name: str
    key: Key
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    state: State = State.READY
    size_bytes: int | None = None
    uses: int | None = None
    since: datetime | None = None
    last_used: datetime | None = None
    constraint: str | None = None


@dataclasses.dataclass(frozen=True)
class DeclaredIndex:
    """An index that should exist; sources: what declares it, in words."""

    place: str
    name: str
    key: Key
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sources: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class DeclaredIndexes:
    """All indexes that should exist; notes: what is not known, one line each."""

    indexes: tuple[DeclaredIndex, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference that a comparison found for one index.

    why: what is different, in words. changes: for MODIFY, the options to change.
    also: for REPLACE, undeclared indexes in its way, which are dropped too; each is
    also reported as UNDECLARED.
    """

    backend: BackendName
    place: str
    name: str
    verdict: Verdict
    declared: DeclaredIndex | None = None
    found: FoundIndex | None = None
    why: str | None = None
    remedy: Remedy = Remedy.NONE
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    also: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Listing:
    """The indexes of one side; notes: what could not be listed, one line each."""

    indexes: tuple[FoundIndex, ...]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class BuildProgress:
    """How far a build is. done, total: in `unit`; None if not known."""

    backend: BackendName
    place: str
    name: str
    phase: str
    done: int | None = None
    total: int | None = None
    unit: str = "documents"


@dataclasses.dataclass(frozen=True)
class SqlIndex:
    """A declared PostgreSQL index: the SQL to build it and turn it into a constraint.

    key: columns and expressions. before, after: the parts of CREATE INDEX CONCURRENTLY
    before and after the name.
    constraint: what follows ADD CONSTRAINT … UNIQUE USING INDEX …; None for an index.
    """

    table: str
    name: str
    key: tuple[str, ...]
    before: str
    after: str
    constraint: str | None = None


@dataclasses.dataclass(frozen=True)
class SqlComparison:
    """How the models' indexes differ from the database's, according to Alembic.

    add: indexes to create, including changed ones; remove: table and name of those that
    the models do not have. there, absent: the models' tables, name -> quoted name.
    notes: what could not be compared, one line each; not_compared: its table and name.
    """

    add: tuple[SqlIndex, ...]
    remove: frozenset[tuple[str, str]]
    there: frozenset[str]
    absent: frozenset[str]
    notes: tuple[str, ...] = ()
    not_compared: frozenset[tuple[str, str]] = frozenset()
