"""The progress of a long operation, as a value and in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..revisions import BackendName


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of an operation.

    revision: empty, and step -1, for a backup.
    subject: the collection that it works on, if it works on one. done: documents
    written, or whatever unit says; total: expected; rate: per second, in this run; None
    if unknown. ended: the operation is done.
    """

    revision: str
    step: int
    verb: str
    subject: str | None
    done: int
    total: int | None
    rate: float | None = None
    ended: bool = False
    unit: str = "documents"
    backend: BackendName = BackendName.MONGO

    @property
    def left_s(self) -> float | None:
        """Seconds left at this rate; None if unknown."""
        if not self.rate or self.total is None or self.total < self.done:
            return None
        return (self.total - self.done) / self.rate


def how_far(progress: Progress) -> str:
    """Return the numbers of an operation: done of total, rate, time left."""
    if not progress.done and progress.total is None:
        return "begun"  # a function of a script has no count of documents
    unit = progress.unit
    parts = [f"{progress.done:,} {unit}"]
    if progress.total:
        share = min(100, 100 * progress.done // progress.total)
        parts = [f"{progress.done:,} of {progress.total:,} {unit} ({share} %)"]
    return ", ".join([*parts, *_pace(progress)])


def briefly(progress: Progress) -> str:
    """Return the numbers of an operation in less than half a line."""
    total = f" of {progress.total:,}" if progress.total else ""
    return ", ".join([f"{progress.done:,}{total}", *_pace(progress)])


def _pace(progress: Progress) -> Iterator[str]:
    if progress.rate:
        yield f"{progress.rate:,.0f}/s"
    if progress.left_s and not progress.ended:
        yield f"{_roughly(progress.left_s)} left"


def _roughly(seconds: float) -> str:
    """Return the remaining time, rounded to its precision."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
