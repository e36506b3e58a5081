"""Up, down and up of one revision."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import DualMigrateError, Irreversible, ScriptError, TreeError
from ..revisions import BackendName, Direction, Revision
from .data.scratches import Scratches
from .proofs import Outcome, Proof
from .snapshots.compare import Difference, compare_again, compare_back, compare_things
from .snapshots.snapshot import Snapshot

Snapshots = Mapping[BackendName, Snapshot]
Go = Callable[[Revision, Direction], None]
Losses = Mapping[BackendName, Sequence[str]]

_ALLOW = re.compile(r"#\s*dualmigrate-test:\s*allow\s+edge-data[ \t]+\S")


class Trial:
    """Tries one revision whose ancestors are all applied.

    go: does one complete step. losses: what its upgrade declares as removed.
    may_refuse: its scripts allow edge-data: they need not accept every value.
    stands: returns whether, after a failure, the revision is completely applied, or
    completely not, as it should be.
    stuck: set if the revision cannot be applied, so that none above it can be.
    disorder: set if the databases are not in the state that those above it expect.
    """

    def __init__(
        self,
        revision: Revision,
        scratches: Scratches,
        go: Go,
        *,
        losses: Losses,
        may_refuse: bool,
        stands: Callable[[bool], bool],
    ) -> None:
        self.stuck = False
        self.disorder = False
        self._revision = revision
        self._scratches = scratches
        self._go = go
        self._losses = losses
        self._may_refuse = may_refuse
        self._stands = stands
        self._started = time.monotonic()
        self._facts: dict[str, Any] = {}

    def run(self) -> Proof:
        """Run the trial and return its proof."""
        self._scratches.sow()
        before = self._look()
        error = self._up()
        if error is not None and self._scratches.with_data and self._stands(False):
            self._facts["refused"] = _said(error)
            before = self._with_everyday_data()
            error = self._up()
            if error is None:
                return self._down(before)
            self._facts.pop("refused")
        if error is not None:
            self.stuck = True
            return self._proof(Outcome.FAILED, error=_said(error))
        return self._down(before)

    def _with_everyday_data(self) -> Snapshots:
        """Replace edge values with ordinary ones, so that at least these are proved."""
        self._scratches.clear()
        self._scratches.sow(at_the_edges=False)
        before = self._look()
        self._scratches.forget()
        return before

    def _look(self) -> Snapshots:
        found = self._scratches.look()
        nouns = {BackendName.POSTGRES: "rows", BackendName.MONGO: "documents"}
        counts = {nouns[name]: each.count() for name, each in found.items()}
        self._facts = {**counts, **self._facts}
        return found

    def _up(self) -> ScriptError | None:
        try:
            self._go(self._revision, Direction.UPGRADE)
        except ScriptError as error:
            return error
        return None

    def _down(self, before: Snapshots) -> Proof:
        first = self._look()
        try:
            self._go(self._revision, Direction.DOWNGRADE)
        except Irreversible as error:
            return self._proof(Outcome.IRREVERSIBLE, error=error.what)
        except (ScriptError, TreeError) as error:
            self.disorder = not self._stands(True)
            outcome = Outcome.IRREVERSIBLE if _refuses(error) else Outcome.FAILED
            return self._proof(outcome, error=_said(error))
        not_back, lost = _not_back(before, first, self._look(), self._losses)
        facts: dict[str, Any] = {"not_back": not_back, "lost": lost}
        failed = self._up()
        if failed is not None:
            self.disorder = True
            # It fails on what the downgrade left behind: that is the fault to report.
            outcome = Outcome.DIFFERENT if not_back else Outcome.FAILED
            said = f"The second time: {_said(failed)}"
            return self._proof(outcome, error=said, **facts)
        not_again = _not_again(before, first, self._look())
        outcome = Outcome.DIFFERENT if not_back or not_again else Outcome.EQUAL
        return self._proof(outcome, not_again=not_again, **facts)

    def _proof(self, outcome: Outcome, **more: Any) -> Proof:
        if "refused" in self._facts and not self._may_refuse:
            outcome = Outcome.FAILED
        taken_ms = round((time.monotonic() - self._started) * 1000)
        return Proof(
            self._revision.id,
            self._revision.message,
            outcome,
            duration_ms=taken_ms,
            **{**self._facts, **more},
        )


def allows_edge_data(sources: Sequence[bytes]) -> bool:
    """Return whether a comment in a script allows it to reject edge values."""
    return any(_ALLOW.search(source.decode(errors="replace")) for source in sources)


def _not_back(
    before: Snapshots, first: Snapshots, after: Snapshots, losses: Losses
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    found: list[Difference] = []
    lost: list[str] = []
    for name, was in before.items():
        found += compare_things(name, was, after[name])
        data = compare_back(name, was, first[name], after[name], losses=losses[name])
        found += data.differences
        lost += [f"{count:,} {name.label} {what}" for what, count in data.lost.items()]
    return tuple(found), tuple(lost)


def _not_again(
    before: Snapshots, first: Snapshots, second: Snapshots
) -> tuple[Difference, ...]:
    found: list[Difference] = []
    for name, was in first.items():
        found += compare_things(name, was, second[name])
        found += compare_again(name, before[name], was, second[name]).differences
    return tuple(found)


def _refuses(error: BaseException) -> bool:
    """Return whether a downgrade only says that there is none; that is no failure."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NotImplementedError):
            return True
        cause = cause.__cause__
    return False


def _said(error: DualMigrateError) -> str:
    return f"{error.what} ({error.where})" if error.where else error.what
