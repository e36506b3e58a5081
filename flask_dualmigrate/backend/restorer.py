"""A restore as the core sees it: what it replaces, and what a side must do for it.

Each side first loads its part into a staging area (`load`), which no one sees; then
the parts replace what is there (`switch`). The side that can decide atomically
switches first: its commit decides. From then on the rest is only renamed, which a kill
may interrupt and the next `restore` carries on.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from ..revisions import BackendName


@dataclasses.dataclass(frozen=True)
class Replacement:
    """A table or a collection that a restore restores or removes.

    now, then: rows or documents; now is None if there is none at present, then is None
    if there was none at the time of the backup. Neither: it holds none, as a view does,
    was created since the backup, and is removed.
    kept: its content is kept elsewhere if it is removed.
    """

    backend: BackendName
    name: str
    now: int | None
    then: int | None
    kept: bool = True


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """A restore that was begun.

    mark: identifies it. backup: its name. switching: it is past the point of no return
    on this side; otherwise the partner's mark says whether it is.
    partner: the other side is restored too.
    """

    mark: str
    backup: str
    switching: bool
    partner: bool


@dataclasses.dataclass(frozen=True)
class Kept:
    """Something created since the backup that is kept. name: where it is now."""

    backend: BackendName
    was: str
    name: str
    count: int


class Restorer(Protocol):
    """One side of one restore. `atomic`: as in Backend."""

    atomic: bool

    def check(self) -> None:
        """Raise, with nothing changed, if this backup cannot be restored here."""

    def replacements(self) -> tuple[Replacement, ...]:
        """Return what would be replaced; change nothing."""

    def load(self, mark: str) -> None:
        """Load the data into a staging area, replacing what was left there."""

    def discard(self, mark: str) -> None:
        """Drop what `load` created, unless past the point of no return."""

    def switch(self, mark: str) -> tuple[Kept, ...]:
        """Put the data in place; repeatable after a kill, with the same result."""
