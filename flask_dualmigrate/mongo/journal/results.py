"""The results of applying or undoing a script's operations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .step_record import StepRecord


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What one operation did.

    documents: how many it wrote. notes: remarks, such as what could not be put back.
    skipped: True if an earlier run had done it.
    """

    step: int
    verb: str
    documents: int
    notes: tuple[str, ...]
    skipped: bool = False

    @classmethod
    def of(cls, record: StepRecord, *, skipped: bool = False) -> StepResult:
        return cls(record.step, record.verb, record.documents, record.notes, skipped)


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What the operations of a script did, in their order."""

    steps: tuple[StepResult, ...]


@dataclasses.dataclass(frozen=True)
class Reverted:
    """How far a script was undone.

    steps: the operations undone, newest first; those that an earlier run had undone are
    marked skipped. stuck: index of the operation that stays, with everything before it;
    None if all is undone. why: the reason.
    """

    steps: tuple[StepResult, ...]
    stuck: int | None = None
    why: str | None = None

    @property
    def undone(self) -> tuple[int, ...]:
        """Indexes of the operations that this run undid, newest first."""
        return tuple(step.step for step in self.steps if not step.skipped)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks of the operations undone, as they made them."""
        return tuple(note for step in self.steps for note in step.notes)


def notes_of(steps: Iterable[StepResult]) -> tuple[str, ...]:
    """Return the notes of steps, one line each, naming the step."""
    return tuple(
        f"step {step.step} ({step.verb}): {note}"
        for step in steps
        for note in step.notes
    )
