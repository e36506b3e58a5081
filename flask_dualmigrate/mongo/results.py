"""What applying or undoing a script's operations came to."""

from __future__ import annotations

import dataclasses

from .steps import StepRecord


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

    undone: indexes of the operations undone, newest first. stuck: index of the
    operation that stays, and everything before it; None if all is undone. why: the
    reason. notes: remarks of the operations undone.
    """

    undone: tuple[int, ...]
    stuck: int | None = None
    why: str | None = None
    notes: tuple[str, ...] = ()
