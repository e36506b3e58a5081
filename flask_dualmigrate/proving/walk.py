"""Walk up a tree on scratch databases."""

from __future__ import annotations

from ..environment import Environment
from ..errors import ScriptError
from ..revisions import BackendName, Direction, Revision, Step
from ..run.executor import Executor
from ..run.pairing import pair_up
from ..run.plan import Plan
from ..verbs import check
from .data.scratches import Scratches
from .proofs import Outcome, Proof
from .trial import Trial, allows_edge_data


class Walk:
    """Goes up the whole tree on the scratch databases, proving what is wanted.

    below: revisions to apply first, because the samples match the state they leave.
    again: it stopped after a revision that left the databases in disorder; those above
    it must be proved on new databases.
    """

    def __init__(
        self,
        env: Environment,
        wanted: frozenset[str],
        scratches: Scratches,
        *,
        below: frozenset[str],
    ) -> None:
        self.proofs: list[Proof] = []
        self.again = False
        self._scratches = scratches
        self._below = below
        self._env = env
        self._wanted = wanted
        self._sides = tuple(env.backends)
        self._executor = Executor(
            env.backends, on_step=env.reporting["on_step"], keep_going=env.stop.require
        )
        self._stopped: str | None = None
        self._sampled_before: Revision | None = None

    def run(self) -> None:
        """Prove the wanted revisions; only apply the others."""
        for backend in self._env.backends.values():
            backend.prepare()
        pair_up(self._env.backends, self._env.run.states())
        for revision in self._in_order():
            if revision == self._sampled_before:
                self._scratches.copy()
            if self.again:
                return
            is_wanted = revision.id in self._wanted
            if self._stopped is None:
                self._prove(revision) if is_wanted else self._apply(revision)
            elif is_wanted:
                self._add(revision, Outcome.NOT_REACHED, self._stopped)

    def _in_order(self) -> tuple[Revision, ...]:
        """Return all revisions, parents first, with those below the samples first."""
        found = self._env.directory.topological()
        below = [rev for rev in found if rev.id in self._below]
        above = [rev for rev in found if rev.id not in self._below]
        self._sampled_before = above[0] if above else None
        return (*below, *above)

    def models(self) -> tuple[tuple[str, ...] | None, str | None]:
        """Compare the models with head, if it was reached."""
        if BackendName.POSTGRES not in self._sides:
            return None, "PostgreSQL is not in use here"
        if self._stopped is not None:
            return None, self._stopped
        return tuple(check.model_differences(self._env)), None

    def _apply(self, revision: Revision) -> None:
        try:
            self._go(revision, Direction.UPGRADE)
        except ScriptError as error:
            self._stopped = f"{revision.id} could not be applied"
            self._add(revision, Outcome.FAILED, error.what)

    def _prove(self, revision: Revision) -> None:
        up = Step(revision, Direction.UPGRADE, self._sides)
        trial = Trial(
            revision,
            self._scratches,
            self._go,
            losses={
                name: tuple(loss.what for loss in backend.destructive(up))
                for name, backend in self._env.backends.items()
            },
            may_refuse=allows_edge_data(
                [
                    self._env.directory.script(name, revision.id).file.source
                    for name in self._sides
                ]
            ),
            stands=lambda applied: self._stands(revision, applied),
        )
        self.proofs.append(trial.run())
        self.again = trial.disorder
        if trial.stuck:
            self._stopped = f"{revision.id} could not be applied"

    def _stands(self, revision: Revision, applied: bool) -> bool:
        """Return whether a revision is complete on both sides, or on neither."""
        return all(
            (revision.id in state.applied) is applied and not state.open_entries()
            for state in self._env.run.states().values()
        )

    def _go(self, revision: Revision, direction: Direction) -> None:
        step = Step(revision, direction, self._sides)
        plan = Plan(direction, revision.id, (step,))
        self._env.run.preflight(plan)
        self._executor.run(plan)

    def _add(self, revision: Revision, outcome: Outcome, error: str) -> None:
        proof = Proof(revision.id, revision.message, outcome, error=error)
        self.proofs.append(proof)
