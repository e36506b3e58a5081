"""The parts of a run: revisions, directions and steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from enum import StrEnum


class BackendName(StrEnum):
    """The two sides of a pair, in the order they are applied."""

    MONGO = "mongo"
    POSTGRES = "postgres"

    @property
    def label(self) -> str:
        """The name shown to people."""
        return "MongoDB" if self is BackendName.MONGO else "PostgreSQL"


class Direction(StrEnum):
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


class Status(StrEnum):
    """The outcome of the last attempt at a revision on one side."""

    RUNNING = "running"
    APPLIED = "applied"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


@dataclasses.dataclass(frozen=True)
class Revision:
    """A revision, with the same id on both sides.

    parents: ids of the revisions it follows, () for a base, two or more for a merge.
    depends_on: ids, labels or prefixes, as the scripts say.
    file_name: the name of both scripts, with .py.
    """

    id: str
    parents: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    branch_labels: tuple[str, ...] = ()
    message: str = ""
    file_name: str = ""


@dataclasses.dataclass(frozen=True)
class Step:
    """One revision, in one direction, on the sides that still have to do it.

    backends: in the order they are worked on; the last one decides.
    """

    revision: Revision
    direction: Direction
    backends: tuple[BackendName, ...]

    @property
    def target(self) -> str:
        """The target of a run that goes exactly as far as this step."""
        return target_of_step(self.direction, self.revision.id, self.revision.parents)


def target_of_step(direction: Direction, revision: str, parents: Sequence[str]) -> str:
    """Return the target of a run that goes exactly as far as one revision."""
    if direction is Direction.UPGRADE:
        return revision
    return (*parents, "base")[0] if len(parents) < 2 else "-1"
