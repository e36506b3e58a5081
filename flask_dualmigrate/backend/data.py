"""How much of the app's data there is, and what of it is kept aside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from ..revisions import Direction

Counts = Mapping[str, int]
"""Table or collection -> its number of rows or documents."""


@dataclasses.dataclass(frozen=True)
class FieldFacts:
    """Facts about the values of a column or a field.

    nulls: how many rows or documents, of `total`, have no value there. types: the BSON
    types of the values; empty for a column.
    """

    nulls: int
    total: int
    types: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Aside:
    """Data that one MongoDB operation removed, kept in its own collection.

    holds: "values" or "conversions" of a field, "documents", or a whole "collection".
    collection, field: what it was taken from; field is None unless values are held.
    revision, direction, step, verb: of the operation.
    size_bytes: of its documents, before the server compresses them.
    since: when it was made; age_s: seconds since then, by the server's clock.
    for_downgrade: a downgrade of the revision would put it back; other asides hold what
    could not be put back, or what a downgrade removed.
    needed: the revision is half done, and cannot continue without it.
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
