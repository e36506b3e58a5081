"""The result of `test`: one proof per revision, on scratch databases."""

from __future__ import annotations

import dataclasses
from enum import StrEnum

from .scratch.scratch import Scratch
from .snapshots.compare import Difference


class Outcome(StrEnum):
    """How the proof of a revision ended."""

    EQUAL = "equal"
    DIFFERENT = "different"
    IRREVERSIBLE = "irreversible"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclasses.dataclass(frozen=True)
class Proof:
    """What up, down and up of one revision showed.

    not_back: differences between the state after the downgrade and before the first
    upgrade. not_again: differences between the state after the second upgrade and after
    the first. lost: what the downgrade cannot restore, in words. error: what the script
    failed with, or why it cannot be downgraded. refused: what it failed with on edge
    values, if it succeeds on ordinary ones. rows, documents: how many there were before
    the first upgrade.
    """

    revision: str
    message: str
    outcome: Outcome
    not_back: tuple[Difference, ...] = ()
    not_again: tuple[Difference, ...] = ()
    lost: tuple[str, ...] = ()
    error: str | None = None
    refused: str | None = None
    rows: int = 0
    documents: int = 0
    duration_ms: int = 0


@dataclasses.dataclass(frozen=True)
class ProofResult:
    """What `test` proved, and where.

    data: "none", "seeded" or "sampled". models: how the models differ from head; None:
    they were not compared, and why_not says why. problems: what is wrong with the tree.
    notes: what the user should know about the data. kept: databases left by --keep.
    strict: a revision that cannot be downgraded counts as different.
    """

    proofs: tuple[Proof, ...]
    scratch: tuple[Scratch, ...]
    data: str = "none"
    models: tuple[str, ...] | None = None
    why_not: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    strict: bool = False

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def bad(self) -> tuple[Proof, ...]:
        """The proofs that did not end as they should have."""
        good = {Outcome.EQUAL, *(() if self.strict else (Outcome.IRREVERSIBLE,))}
        return tuple(proof for proof in self.proofs if proof.outcome not in good)

    @property
    def exit_code(self) -> int:
        """1 if a script failed, 3 if something differs, otherwise 0."""
        if any(proof.outcome is Outcome.FAILED for proof in self.proofs):
            return 1
        return 3 if self.bad or self.models or self.problems else 0
