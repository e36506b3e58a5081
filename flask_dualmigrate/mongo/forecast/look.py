"""What a forecast of one operation uses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from ...backend import Failing, Forecast
from ...ops import Operation
from ..batches.step_under_way import Work
from ..expressions.ranges import Query
from ..journal.step_record import StepRecord
from ..server.best_effort import estimated_count
from ..server.views import ExactDatabase, collection_info
from .counting import Count, count
from .names import Names
from .sample import Trial
from .validators import ComingValidator, coming_validator

Op = TypeVar("Op", bound=Operation)


@dataclasses.dataclass(frozen=True)
class Look(Generic[Op]):
    """One operation, and the database it is examined in.

    operation: with the current names of its collection; said: as in the script. record:
    of a run that began it; None: not begun. before: what its handler found; problem:
    why it refused; unsure: why that is not known.
    """

    said: Op
    operation: Op
    work: Work
    names: Names
    record: StepRecord | None = None
    before: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    problem: str | None = None
    unsure: str | None = None

    @property
    def db(self) -> ExactDatabase:
        return self.work.db

    @property
    def collection(self) -> str:
        name: str = getattr(self.operation, "collection", "")
        return name

    @property
    def is_there(self) -> bool:
        """True if the collection currently exists in the database."""
        now = self.names.now(getattr(self.said, "collection", ""))
        return now is not None and collection_info(self.db, now) is not None

    @property
    def may_be_there(self) -> bool:
        """True if the collection will or may exist when the operation runs."""
        return self.is_there or self.names.makes(getattr(self.said, "collection", ""))

    @property
    def is_empty(self) -> bool:
        """True if the collection currently has no documents, or does not exist."""
        if not self.is_there:
            return True
        return not estimated_count(self.db[self.collection])

    @property
    def coming(self) -> ComingValidator | None:
        """The validator that the script sets before this operation."""
        set_before = self.names.validator(getattr(self.said, "collection", ""))
        return coming_validator(self.work, self.collection, set_before)

    def count(self, query: Query) -> Count:
        return count(self.db, self.collection, query)


@dataclasses.dataclass
class Told:
    """A forecast being built: what one family of operations found out.

    problems: why it would fail; lasting: those that no earlier operation can fix.
    """

    matches: Count | None = None
    writes: int | None = None
    failing: list[Failing] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    lasting: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    plan: str | None = None
    builds: bool = False

    def forecast(self, step: int, operation: Operation) -> Forecast:
        matches, notes = self.matches, self.notes
        if matches is not None and matches.note:
            notes = [matches.note, *notes]
        return Forecast(
            step=step,
            operation=operation.describe(),
            matches=None if matches is None else matches.number,
            writes=self.writes,
            exact=matches is None or matches.exact,
            failing=tuple(self.failing),
            problems=tuple(dict.fromkeys([*self.lasting, *self.problems])),
            notes=tuple(dict.fromkeys(notes)),
            plan=self.plan,
            builds=self.builds,
        )


def tell_trial(look: Look[Any], trial: Trial, told: Told) -> None:
    """Report how a sample went; what refused it may be gone by the time of the run."""
    if trial.problem is not None:
        if look.names.eased(look.said.collection):
            told.notes.append(f"now it would fail: {trial.problem}")
        else:
            told.problems.append(trial.problem)
    if trial.refused is not None:
        told.problems.append(trial.refused)
    if trial.note is not None:
        told.notes.append(trial.note)
