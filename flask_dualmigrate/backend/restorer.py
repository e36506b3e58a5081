"""What a restore is to the spine: what it replaces, and what a side has to do for it.

Each side brings its part into a side place first (`load`), which nobody sees; then the
parts take the places of what is there (`switch`). The side that can decide atomically
switches first: its commit decides. From then on the rest is only renamed, which a kill
may interrupt and the next `restore` carries on.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from ..revisions import BackendName


@dataclasses.dataclass(frozen=True)
class Replacement:
    """A table or a collection that a restore brings back, or takes away.

    now, then: rows or documents; now is None where there is none at present, then is
    None where there was none at the time of the backup. Neither: it holds none, as a
    view does, was made since the backup, and is taken away.
    kept: what is in it is kept elsewhere, if it is taken away.
    """

    backend: BackendName
    name: str
    now: int | None
    then: int | None
    kept: bool = True


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """A restore that was begun.

    mark: tells it from others. backup: its name. switching: it is past the point of no
    return on this side; else the mark of the partner says whether it is.
    partner: the other side is restored too.
    """

    mark: str
    backup: str
    switching: bool
    partner: bool


@dataclasses.dataclass(frozen=True)
class Kept:
    """What was made since the backup and is not thrown away. name: where it is now."""

    backend: BackendName
    was: str
    name: str
    count: int


class Restorer(Protocol):
    """One side of one restore. `atomic` as the Backend has it."""

    atomic: bool

    def check(self) -> None:
        """Raise, with nothing changed, if this backup cannot be restored here."""

    def replacements(self) -> tuple[Replacement, ...]:
        """Say what would be replaced; change nothing."""

    def load(self, mark: str) -> None:
        """Bring what is restored into a side place; what was left there goes."""

    def discard(self, mark: str) -> None:
        """Drop what `load` made, unless it is past the point of no return."""

    def switch(self, mark: str) -> tuple[Kept, ...]:
        """Put it into place; again after a kill, with the same result."""
