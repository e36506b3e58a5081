"""The walk over the revisions: up, down, up, and what differs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from .. import commands
from ..environment import Environment
from ..errors import DualMigrateError, ScriptError, TreeError, UsageError
from ..executor import Executor
from ..plan import Plan
from ..proofs import Difference, Outcome, Proof, ProofResult
from ..revision import BackendName, Direction, Revision, Step
from .compare import compare_again, compare_back, compare_things
from .mongo_seeds import MongoSeeds
from .mongo_snapshot import mongo_snapshot
from .postgres_seeds import PostgresSeeds
from .postgres_snapshot import postgres_snapshot
from .scratch import bench
from .snapshot import Snapshot

Snapshots = Mapping[BackendName, Snapshot]


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
    with bench(env, embedded=ways.embedded, keep=ways.keep) as made:
        walk = _Walk(made.env, wanted, ways)
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
            notes=walk.notes,
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

    def __init__(self, env: Environment, wanted: frozenset[str], ways: Ways) -> None:
        self.proofs: list[Proof] = []
        self._env = env
        self._wanted = wanted
        self._ways = ways
        self._sides = tuple(env.backends)
        self._executor = Executor(
            env.backends, on_step=env.on_step, keep_going=env.stop.require
        )
        self._failed: str | None = None

    def run(self) -> None:
        """Prove the wanted revisions; the others are but applied."""
        for backend in self._env.backends.values():
            backend.prepare()
        self._executor.pair(self._env.states())
        for revision in self._env.directory.topological():
            if self._failed is not None:
                if revision.id in self._wanted:
                    self._tell(revision, Outcome.NOT_REACHED, error=self._failed)
            elif revision.id in self._wanted:
                self._prove(revision)
            else:
                self._up_only(revision)

    def models(self) -> tuple[tuple[str, ...] | None, str | None]:
        """Compare the models with head, where it was reached."""
        if BackendName.POSTGRES not in self._sides:
            return None, "PostgreSQL is not in use here"
        if self._failed is not None:
            return None, self._failed
        return tuple(commands.model_differences(self._env)), None

    def _up_only(self, revision: Revision) -> None:
        try:
            self._step(revision, Direction.UPGRADE)
        except ScriptError as error:
            self._give_up(revision)
            self._tell(revision, Outcome.FAILED, error=_said(error))

    def _give_up(self, revision: Revision) -> None:
        self._failed = f"{revision.id} could not be applied"

    def _prove(self, revision: Revision) -> None:
        started = time.monotonic()

        def tell(outcome: Outcome, **more: Any) -> None:
            taken_ms = round((time.monotonic() - started) * 1000)
            self._tell(revision, outcome, duration_ms=taken_ms, **facts, **more)

        self._sow()
        before = self._look()
        facts = _counts(before)
        up = Step(revision, Direction.UPGRADE, self._sides)
        losses = self._losses(up)
        try:
            self._step(revision, Direction.UPGRADE)
        except ScriptError as error:
            self._give_up(revision)
            tell(Outcome.FAILED, error=_said(error))
            return
        first = self._look()
        try:
            self._step(revision, Direction.DOWNGRADE)
        except TreeError as error:
            tell(Outcome.IRREVERSIBLE, error=error.what)
            return
        except ScriptError as error:
            self._after_a_failed_down(revision)
            tell(*_failed_down(error), error=_said(error))
            return
        not_back, lost = _not_back(before, first, self._look(), losses)
        try:
            self._step(revision, Direction.UPGRADE)
        except ScriptError as error:
            self._give_up(revision)
            tell(
                Outcome.FAILED,
                not_back=not_back,
                lost=lost,
                error=f"The second time: {_said(error)}",
            )
            return
        not_again = _not_again(before, first, self._look())
        outcome = Outcome.DIFFERENT if not_back or not_again else Outcome.EQUAL
        tell(outcome, not_back=not_back, not_again=not_again, lost=lost)

    def _after_a_failed_down(self, revision: Revision) -> None:
        """Go on only from where the revision stands whole on both sides."""
        for state in self._env.states().values():
            if revision.id not in state.applied or state.open_entries():
                self._failed = f"the downgrade of {revision.id} stopped half-way"

    def _step(self, revision: Revision, direction: Direction) -> None:
        step = Step(revision, direction, self._sides)
        plan = Plan(direction, revision.id, (step,))
        self._env.preflight(plan)
        self._executor.run(plan)

    def _losses(self, step: Step) -> dict[BackendName, tuple[str, ...]]:
        """Return what an upgrade says that it takes away for good."""
        return {
            name: tuple(loss.what for loss in backend.destructive(step))
            for name, backend in self._env.backends.items()
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the data."""
        return tuple(
            f"{name.label} {table} has no data: {why}"
            for name, seeds in self._seeds.items()
            for table, why in seeds.notes.items()
        )

    @cached_property
    def _seeds(self) -> dict[BackendName, PostgresSeeds | MongoSeeds]:
        if not self._ways.data:
            return {}
        make: dict[BackendName, Callable[[], PostgresSeeds | MongoSeeds]] = {
            BackendName.MONGO: lambda: MongoSeeds(self._mongo_db),
            BackendName.POSTGRES: lambda: PostgresSeeds(
                self._env.engine, version_table=self._version_table
            ),
        }
        return {name: make[name]() for name in self._sides}

    def _sow(self) -> None:
        """Bring in data of edge values, if asked to."""
        for seeds in self._seeds.values():
            if isinstance(seeds, PostgresSeeds):
                seeds.sow()
            else:
                applied = self._env.states()[BackendName.MONGO].applied
                seeds.sow(self._env.shapes(applied))

    @property
    def _mongo_db(self) -> Any:
        return self._env.mongo_side("It is proved").db

    @property
    def _version_table(self) -> str:
        options = self._env.alembic_options
        return str(options.get("version_table", "alembic_version"))

    def _look(self) -> Snapshots:
        read: dict[BackendName, Callable[[], Snapshot]] = {
            BackendName.MONGO: lambda: mongo_snapshot(self._mongo_db),
            BackendName.POSTGRES: lambda: postgres_snapshot(
                self._env.engine, version_table=self._version_table
            ),
        }
        return {name: read[name]() for name in self._sides}

    def _tell(self, revision: Revision, outcome: Outcome, **more: Any) -> None:
        proof = Proof(revision.id, revision.message, outcome, **more)
        self.proofs.append(proof)


def _counts(snapshots: Snapshots) -> dict[str, int]:
    nouns = {BackendName.POSTGRES: "rows", BackendName.MONGO: "documents"}
    return {nouns[name]: each.count() for name, each in snapshots.items()}


def _not_back(
    before: Snapshots,
    first: Snapshots,
    after: Snapshots,
    losses: Mapping[BackendName, Sequence[str]],
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    found: list[Difference] = []
    lost: list[str] = []
    for name, was in before.items():
        found += compare_things(name, was, after[name])
        data = compare_back(name, was, first[name], after[name], losses=losses[name])
        found += data.differences
        lost += [
            f"{count:,} of {name.label} {what}" for what, count in data.lost.items()
        ]
    return tuple(found), tuple(lost)


def _not_again(
    before: Snapshots, first: Snapshots, second: Snapshots
) -> tuple[Difference, ...]:
    found: list[Difference] = []
    for name, was in first.items():
        found += compare_things(name, was, second[name])
        found += compare_again(name, before[name], was, second[name]).differences
    return tuple(found)


def _failed_down(error: BaseException) -> tuple[Outcome]:
    """A downgrade that says in the middle that there is none, has failed at nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, NotImplementedError):
            return (Outcome.IRREVERSIBLE,)
        cause = cause.__cause__
    return (Outcome.FAILED,)


def _said(error: DualMigrateError) -> str:
    return f"{error.what} ({error.where})" if error.where else error.what
