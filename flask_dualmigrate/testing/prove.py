"""The walk over the revisions: up, down, up, and what differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .. import commands
from ..environment import Environment
from ..errors import DualMigrateError, ScriptError, UsageError
from ..executor import Executor
from ..plan import Plan
from ..proofs import Outcome, Proof, ProofResult
from ..revision import BackendName, Direction, Revision, Step
from .data import Scratches
from .scratch import bench
from .trial import Trial, allows_edge_data


@dataclasses.dataclass(frozen=True)
class Ways:
    """How to prove.

    data: rows and documents of edge values. sample: of the real ones, so many of each
    table and collection; 0: none. embedded: on servers of our own. keep: leave the
    scratch databases. strict: a revision without a way down counts as different.
    """

    data: bool = False
    sample: int = 0
    embedded: bool = False
    keep: bool = False
    strict: bool = False


def prove(
    env: Environment,
    revisions: Sequence[str] = (),
    *,
    all_: bool = False,
    since: str | None = None,
    ways: Ways = Ways(),
) -> ProofResult:
    """Prove revisions on scratch databases; the real ones are read at the most.

    revisions: ids, prefixes, labels; all_: each of the tree; since: those above one.
    None of it: what is pending, or the heads if nothing is.
    Raises UsageError for two of them at once, and what making databases raises.
    """
    if bool(revisions) + all_ + (since is not None) > 1:
        raise UsageError("Name revisions, or say one of --all and --since")
    if ways.data and ways.sample:
        raise UsageError("Say one of --data and --sample")
    env.directory.require_pairs()
    wanted = _wanted(env, revisions, all_, since)
    below = _applied(env, wanted) if ways.sample else frozenset()
    with bench(env, embedded=ways.embedded, keep=ways.keep) as made:
        walk = _Walk(made.env, wanted, ways, real=env, below=below)
        with made.env.locked():
            walk.run()
        models, why_not = walk.models()
        return ProofResult(
            tuple(walk.proofs),
            made.scratch,
            data="seeded" if ways.data else "sampled" if ways.sample else "none",
            models=models,
            why_not=why_not,
            problems=_several_heads(env),
            notes=walk.scratches.notes,
            kept=made.kept,
            strict=ways.strict,
        )


def _wanted(
    env: Environment, revisions: Sequence[str], all_: bool, since: str | None
) -> frozenset[str]:
    directory = env.directory
    if all_:
        return frozenset(directory.revisions)
    if since is not None:
        below = directory.ancestors([rev.id for rev in directory.resolve(since)])
        return frozenset(directory.revisions) - below
    if revisions:
        return frozenset(rev.id for rev in directory.resolve(*revisions))
    try:
        env.check_servers()
        states = env.states()
    except DualMigrateError:
        return frozenset(directory.heads)  # they cannot be asked what is pending
    applied = [state.applied for state in states.values()]
    pending = frozenset(directory.revisions) - frozenset.intersection(*applied)
    return pending or frozenset(directory.heads)


def _applied(env: Environment, wanted: frozenset[str]) -> frozenset[str]:
    """Return what the real databases have, which is what their data is like.

    Raises UsageError where a revision cannot be proved on such data.
    """
    env.check_servers()
    applied = {state.applied for state in env.states().values()}
    if len(applied) > 1:
        raise UsageError(
            "The two databases are not level, so their data is of two revisions",
            hint="See `flask db-migrate status`, or prove with --data.",
        )
    below = frozenset.intersection(*applied) & env.directory.revisions.keys()
    again = sorted(wanted & below)
    if again:
        raise UsageError(
            f"{again[0]} is applied already, so the real data is not what it finds",
            hint="Prove it with --data, or name revisions that are pending.",
        )
    return below


def _several_heads(env: Environment) -> tuple[str, ...]:
    """Say that there are several heads, unless each is a branch that has a name."""
    heads = env.directory.heads
    nodes = [env.directory.graph.get_revision(head) for head in heads]
    if len(heads) < 2 or all(node is not None and node.branch_labels for node in nodes):
        return ()
    return (
        f"The tree has {len(heads)} heads: {', '.join(sorted(heads))}. Join them: "
        "flask db-migrate merge heads",
    )


class _Walk:
    """Goes up the whole tree on the scratch databases, proving what is wanted."""

    def __init__(
        self,
        env: Environment,
        wanted: frozenset[str],
        ways: Ways,
        *,
        real: Environment,
        below: frozenset[str],
    ) -> None:
        self.proofs: list[Proof] = []
        self.scratches = Scratches(
            env, with_data=ways.data, real=real, sample=ways.sample
        )
        self._below = below
        self._env = env
        self._wanted = wanted
        self._sides = tuple(env.backends)
        self._executor = Executor(
            env.backends, on_step=env.on_step, keep_going=env.stop.require
        )
        self._stopped: str | None = None
        self._sampled_before: Revision | None = None

    def run(self) -> None:
        """Prove the wanted revisions; the others are but applied."""
        for backend in self._env.backends.values():
            backend.prepare()
        self._executor.pair(self._env.states())
        for revision in self._in_order():
            if revision == self._sampled_before:
                self.scratches.copy()
            is_wanted = revision.id in self._wanted
            if self._stopped is None:
                self._prove(revision) if is_wanted else self._apply(revision)
            elif is_wanted:
                self._tell(revision, Outcome.NOT_REACHED, self._stopped)

    def _in_order(self) -> tuple[Revision, ...]:
        """Return all revisions, parents first; what the samples are of before that."""
        found = self._env.directory.topological()
        below = [rev for rev in found if rev.id in self._below]
        above = [rev for rev in found if rev.id not in self._below]
        self._sampled_before = above[0] if above else None
        return (*below, *above)

    def models(self) -> tuple[tuple[str, ...] | None, str | None]:
        """Compare the models with head, where it was reached."""
        if BackendName.POSTGRES not in self._sides:
            return None, "PostgreSQL is not in use here"
        if self._stopped is not None:
            return None, self._stopped
        return tuple(commands.model_differences(self._env)), None

    def _apply(self, revision: Revision) -> None:
        try:
            self._go(revision, Direction.UPGRADE)
        except ScriptError as error:
            self._stopped = f"{revision.id} could not be applied"
            self._tell(revision, Outcome.FAILED, error.what)

    def _prove(self, revision: Revision) -> None:
        up = Step(revision, Direction.UPGRADE, self._sides)
        trial = Trial(
            revision,
            self.scratches,
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
        if not trial.goes_on:
            self._stopped = f"{revision.id} stopped half-way, or could not be applied"

    def _stands(self, revision: Revision, applied: bool) -> bool:
        """Return whether a revision is whole on both sides, or on neither."""
        return all(
            (revision.id in state.applied) is applied and not state.open_entries()
            for state in self._env.states().values()
        )

    def _go(self, revision: Revision, direction: Direction) -> None:
        step = Step(revision, direction, self._sides)
        plan = Plan(direction, revision.id, (step,))
        self._env.preflight(plan)
        self._executor.run(plan)

    def _tell(self, revision: Revision, outcome: Outcome, error: str) -> None:
        proof = Proof(revision.id, revision.message, outcome, error=error)
        self.proofs.append(proof)
