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
    """What up, down, up of one revision showed.

    not_back: what differs after the down from before the first up. not_again: what
    differs after the second up from after the first one. lost: what the downgrade has
    no way to bring back, in words. error: what the script failed with, or why there is
    no way down. refused: what it failed with on values at the edges, where it does not
    fail on everyday ones. rows, documents: how many were there before the first up.
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
    notes: what a person should know of the data. kept: databases that are left, by
    --keep. strict: a revision that has no way down counts as different.
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
        """The proofs that did not end as they should."""
        good = {Outcome.EQUAL, *(() if self.strict else (Outcome.IRREVERSIBLE,))}
        return tuple(proof for proof in self.proofs if proof.outcome not in good)

    @property
    def exit_code(self) -> int:
        """1 where a script fails, 3 where something is not equal, else 0."""
        if any(proof.outcome is Outcome.FAILED for proof in self.proofs):
            return 1
        return 3 if self.bad or self.models or self.problems else 0
