"""What is known of one index: as it is there, as it is declared, and the difference."""

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
    """How an index that is there does. INVALID: a build that failed in PostgreSQL."""

    READY = "ready"
    HIDDEN = "hidden"
    BUILDING = "building"
    INVALID = "invalid"


class Verdict(StrEnum):
    """What a comparison says of one index."""

    OK = "OK"
    MISSING = "MISSING"
    CONFLICT = "CONFLICT"
    UNDECLARED = "UNDECLARED"
    BUILDING = "BUILDING"
    NOT_COMPARED = "NOT COMPARED"


class Remedy(StrEnum):
    """What brings an index to what is declared.

    MODIFY: collMod, nothing is built. REPLACE: another one is built before the old one
    goes. NONE: nothing that keeps the collection in use meanwhile.
    """

    CREATE = "create"
    MODIFY = "modify"
    REPLACE = "replace"
    DROP = "drop"
    WAIT = "wait"
    NONE = "none"


@dataclasses.dataclass(frozen=True)
class FoundIndex:
    """An index that is there.

    place: the collection or the table. options: as the server shows them.
    size_bytes, uses, since: None where the server does not tell; `uses` counts from
    `since`. constraint: the PostgreSQL constraint that it stands for.
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
    """An index that should be there; sources: who says so, in words."""

    place: str
    name: str
    key: Key
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sources: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class DeclaredIndexes:
    """All indexes that should be there; notes: what could not be told, a line each."""

    indexes: tuple[DeclaredIndex, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Difference:
    """What a comparison says of one index.

    why: what is different, in words. changes: for MODIFY, the options to change.
    also: for REPLACE, undeclared indexes in its way, which go too; each is told of as
    UNDECLARED as well.
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
    """The indexes of one side; notes: what could not be listed, a line each."""

    indexes: tuple[FoundIndex, ...]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class BuildProgress:
    """How far a build is. done, total: of `unit`; None where it is not known."""

    backend: BackendName
    place: str
    name: str
    phase: str
    done: int | None = None
    total: int | None = None
    unit: str = "documents"


@dataclasses.dataclass(frozen=True)
class SqlIndex:
    """A declared index of PostgreSQL: what builds it, and makes a constraint of it.

    key: columns and expressions. before, after: CREATE INDEX CONCURRENTLY, what stands
    before and after the name.
    constraint: what follows ADD CONSTRAINT … UNIQUE USING INDEX …, None for an index.
    """

    table: str
    name: str
    key: tuple[str, ...]
    before: str
    after: str
    constraint: str | None = None


@dataclasses.dataclass(frozen=True)
class SqlComparison:
    """How the models' indexes differ from the database's, by Alembic.

    add: those to make, a changed one among them; remove: table and name of those that
    the models do not have. there, absent: the models' tables, quoted names by name.
    notes: what could not be compared, a line each; not_compared: table and name of it.
    """

    add: tuple[SqlIndex, ...]
    remove: frozenset[tuple[str, str]]
    there: frozenset[str]
    absent: frozenset[str]
    notes: tuple[str, ...] = ()
    not_compared: frozenset[tuple[str, str]] = frozenset()
