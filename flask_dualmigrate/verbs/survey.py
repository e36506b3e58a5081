"""What `upgrade --verify` compares: counts before and after, fields on both sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..backend.data import Counts
from ..revisions import BackendName


@dataclasses.dataclass(frozen=True)
class Place:
    """A table or a collection; None: it did not exist, or no longer exists.

    allowed: the plan removes something, or its rows are elsewhere under another name,
    so fewer are expected.
    """

    backend: BackendName
    name: str
    before: int | None
    after: int | None
    allowed: bool = False

    @property
    def problem(self) -> str | None:
        if self.allowed or (self.after or 0) >= (self.before or 0):
            return None
        noun = "rows" if self.backend is BackendName.POSTGRES else "documents"
        return f"fewer {noun} than before"


@dataclasses.dataclass(frozen=True)
class PairedField:
    """A column and its field after the run.

    nulls: rows without a value; missing: documents where it is null or missing.
    types: the BSON types of the values; strange: those that are not the column's.
    rows, documents: how many there are in all.
    """

    table: str
    column: str
    collection: str
    field: str
    nulls: int
    missing: int
    rows: int
    documents: int
    types: tuple[str, ...]
    strange: tuple[str, ...] = ()

    @property
    def problem(self) -> str | None:
        """Why the two do not agree; an empty side is ignored."""
        if self.strange:
            return f"{', '.join(self.strange)} where the column has other values"
        if self.rows and self.documents and self.nulls != self.missing:
            return "different numbers of nulls"
        return None


Row = Mapping[str, Any]
"""Column or field -> value; absent ones are missing."""


@dataclasses.dataclass(frozen=True)
class PairedValues:
    """The values of a column and its field that were equal before the run.

    compared: how many were equal, of the rows examined: `rows` of `total`.
    different: how many no longer are; example: the key of one of them.
    """

    table: str
    column: str
    collection: str
    field: str
    compared: int
    rows: int
    total: int
    different: int
    example: str | None = None

    @property
    def problem(self) -> str | None:
        if not self.different:
            return None
        noun = "value was" if self.different == 1 else "values were"
        return (
            f"{self.different:,} {noun} equal before, and not after: "
            f"that of {self.example}, say"
        )


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a run touched, before it and after it.

    values: of what was there before and is there after it, on both sides.
    """

    places: tuple[Place, ...]
    fields: tuple[PairedField, ...]
    values: tuple[PairedValues, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(self.problems())

    def problems(self) -> Iterator[str]:
        problems = [place.problem for place in self.places]
        problems += [pair.problem for pair in self.fields]
        problems += [pair.problem for pair in self.values]
        return filter(None, problems)


def compared(
    side: BackendName, before: Counts, after: Counts, *, removing: bool
) -> tuple[Place, ...]:
    """Return the places of one side, by name.

    removing: the plan declares that it removes something there. A place that is gone
    while a new one has as many counts as renamed.
    """
    new = [after[name] for name in after.keys() - before.keys()]
    places = []
    for name in sorted({*before, *after}):
        is_renamed = name not in after and before[name] in new
        if is_renamed:
            new.remove(before[name])
        places.append(
            Place(
                side,
                name,
                before.get(name),
                after.get(name),
                allowed=removing or is_renamed,
            )
        )
    return tuple(places)
