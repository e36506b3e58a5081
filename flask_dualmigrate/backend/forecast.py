"""What a step would do on one side, and what it would remove."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from ..revisions import BackendName


class Dropped(NamedTuple):
    """A table that a script drops, or, if a column is given, one of its columns."""

    table: str
    schema: str | None = None
    column: str | None = None


@dataclasses.dataclass(frozen=True)
class Loss:
    """Something that a step permanently removes.

    what: the call or the operation. count: how much is there now, of `unit` (rows,
    values, documents); None: unknown. exact: False for an estimate.
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
class Failing:
    """Documents that would make an operation fail.

    kind: conversion, collision, duplicate, validator or insert. count: documents;
    None: more than could be counted in time. samples: up to five, each the `_id` and,
    if useful, the value.
    fatal: the operation would fail; otherwise they only deserve a look.
    """

    kind: str
    count: int | None
    samples: tuple[str, ...]
    fatal: bool = True


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What one operation would do to the current data.

    step: its number in the script, from 0.
    matches, writes: documents that it matches, and that it would write; None: unknown.
    exact: False if these are the server's estimates.
    failing: documents that would make it fail. problems: why it would fail, one
    sentence each; none if it would not. notes: what else is useful to know.
    plan: how the server would find the documents, such as `IXSCAN _id_`.
    builds: True if it builds an index over what it matches, without writing documents.
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
    """What one side would do for a step, in words or statements, one line each.

    forecasts: one per line, if the lines are operations.
    """

    backend: BackendName
    lines: tuple[str, ...]
    forecasts: tuple[Forecast, ...] = ()
