"""`upgrade`, `downgrade` and `stamp`, and what they return."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from ..backups import Scope
from ..environment import Environment
from ..errors import UsageError
from ..revisions import BackendName, Direction
from ..run.options import Confirm, RunOptions
from ..run.plan import (
    Plan,
    refuse_half_done,
    require_pair,
    require_target,
)
from ..run.status import (
    forgotten,
)
from . import dry_run
from .count_and_compare import Witness
from .dry_run import PlanResult, ScriptResult
from .emptied import not_restored
from .survey import Survey


@dataclasses.dataclass(frozen=True)
class DoneStep:
    """One revision that a run completed. duration_ms: both sides together."""

    revision: str
    message: str
    backends: tuple[BackendName, ...]
    duration_ms: int


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What `upgrade` and `downgrade` did.

    backup: the name of the one that was made before; None: nothing had to be kept.
    verified: with --verify, what was counted before and after; else None.
    emptied: what a downgrade recreated empty, and which backup has it.
    """

    direction: Direction
    steps: tuple[DoneStep, ...]
    backup: str | None = None
    verified: Survey | None = None
    emptied: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.verified is None or self.verified.ok


@dataclasses.dataclass(frozen=True)
class StampResult:
    """What `stamp` marked: the heads now, and the sides marked."""

    heads: tuple[str, ...]
    backends: tuple[BackendName, ...]


def upgrade(
    env: Environment, target: str, options: RunOptions
) -> RunResult | PlanResult | ScriptResult:
    """Upgrade the sides in use to a target, or return what that would do.

    target: of a printed script, FROM:TO too.
    """
    return _go(env, target, Direction.UPGRADE, options)


def downgrade(
    env: Environment, target: str, options: RunOptions
) -> RunResult | PlanResult | ScriptResult:
    """Downgrade the sides in use to a target, or return what that would do."""
    return _go(env, target, Direction.DOWNGRADE, options)


def _go(
    env: Environment, target: str, direction: Direction, options: RunOptions
) -> RunResult | PlanResult | ScriptResult:
    language = options.language(target)
    env.limit(options.limits)
    if language is not None:
        env.directory.require_pairs()
        return dry_run.script(env, target, direction, language)
    env.run.back_up(options.backup)
    env.run.on_error(options.on_error)
    env.run.trust_no_edits(options.wait_s)
    env.directory.require_pairs()
    witness: Witness | None = None
    if options.dry_run or options.verify or options.confirm is not None:
        require_target(env.directory, target, direction)
        env.run.check_servers()
        plan, states = env.run.foresee(target, direction)
        if options.dry_run:
            return dry_run.describe(env, plan, states)
        begun = [name for name, state in states.items() if state.applied]
        losses = [*_losses(env, plan, begun), *not_restored(env, plan.steps)]
        if options.confirm is not None and losses and not env.config.allow_destructive:
            options.confirm(losses)
        if options.verify:
            witness = Witness(env, plan)
    done = env.run.migrate(target, direction)
    return RunResult(
        direction,
        tuple(
            DoneStep(
                result.step.revision.id,
                result.step.revision.message,
                result.step.backends,
                result.duration_ms,
            )
            for result in done
        ),
        backup=None if env.run.backup is None else env.run.backup.name,
        verified=witness.compare() if witness is not None else None,
        emptied=not_restored(env, [result.step for result in done]),
    )


def _losses(env: Environment, plan: Plan, sides: Collection[BackendName]) -> list[str]:
    """Return what would be lost. sides: those with something to lose."""
    return [
        f"{step.revision.id}  {loss}"
        for step in plan.steps
        for name in step.backends
        if name in sides
        for loss in env.backends[name].destructive(step)
    ]


def upgrade_unasked(env: Environment) -> None:
    """Upgrade the sides in use to head when there is no one to ask.

    Raises UsageError, changing nothing, if that would remove data, unless
    DUALMIGRATE_ALLOW_DESTRUCTIVE is set. This is checked with the locks held: another
    process may have filled what was empty. A plan that does not touch the app's data
    does not remove any.
    """

    def approve(plan: Plan) -> None:
        sides = [
            name
            for name, backend in env.backends.items()
            if backend.extent(
                [step for step in plan.steps if name in step.backends], Scope.TOUCHED
            ).data
        ]
        losses = _losses(env, plan, sides)
        if losses and not env.config.allow_destructive:
            more = f" (and {len(losses) - 1} more)" if losses[1:] else ""
            raise UsageError(
                "An automatic upgrade would permanently remove data: "
                f"{losses[0]}{more}",
                hint="Nothing was changed. Run: flask db-migrate upgrade; or allow it "
                "with DUALMIGRATE_ALLOW_DESTRUCTIVE=1.",
            )

    env.run.trust_no_edits()
    env.run.migrate("heads", Direction.UPGRADE, approve=approve)


def stamp(
    env: Environment, target: str = "head", *, confirm: Confirm | None = None
) -> StampResult:
    """Mark a revision and its ancestors as applied on the sides in use; run nothing."""
    directory = env.directory
    directory.require_pairs()
    heads = (
        ()
        if target == "base"
        else tuple(revision.id for revision in directory.resolve(target))
    )
    wanted = directory.ancestors(heads)
    revisions = [rev for rev in directory.topological() if rev.id in wanted]
    env.run.check_servers()
    states = env.run.states()
    require_pair(states)
    losses = forgotten(directory, states, wanted)
    if confirm is not None and losses:
        confirm(losses)
    env.run.check_rights()
    with env.run.locked():
        refuse_half_done(env.run.states())
        for backend in env.backends.values():
            backend.prepare()
        for backend in env.backends.values():
            backend.stamp(revisions)
    return StampResult(heads, env.in_scope)
