"""One function a verb: (environment, arguments) -> result. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from . import preview
from .autogenerate import (
    Comparison,
    compare_models,
)
from .backups import Scope
from .consistency import contradictions
from .emptied import told_of_emptied
from .environment import Environment
from .errors import UsageError
from .history import list_branches, list_heads, list_history, place, single
from .mongo.recording import record
from .ops import Todo
from .plan import (
    NOT_A_PAIR,
    Plan,
    States,
    ahead,
    is_pair,
    refuse_half_done,
    require_pair,
    require_target,
)
from .postgres.errors import driver_errors
from .results import (
    CheckResult,
    CurrentResult,
    DoneStep,
    Finding,
    GraphResult,
    PlanResult,
    RunResult,
    ScriptResult,
    ShowResult,
    StampResult,
    StatusResult,
)
from .revision import BackendName, Direction, Revision
from .run.options import Confirm, RunOptions
from .status import (
    OpenProgress,
    edited_scripts,
    forgotten,
    half_done,
    make_status,
    pending,
)
from .surveying import Witness


def upgrade(
    env: Environment, target: str, options: RunOptions
) -> RunResult | PlanResult | ScriptResult:
    """Bring the sides in use up to a target, or say or print what that would do.

    target: of a printed script, FROM:TO too.
    """
    return _go(env, target, Direction.UPGRADE, options)


def downgrade(
    env: Environment, target: str, options: RunOptions
) -> RunResult | PlanResult | ScriptResult:
    """Take the sides in use down to a target, or say or print what that would do."""
    return _go(env, target, Direction.DOWNGRADE, options)


def _go(
    env: Environment, target: str, direction: Direction, options: RunOptions
) -> RunResult | PlanResult | ScriptResult:
    language = options.language(target)
    env.limit(options.limits)
    if language is not None:
        env.directory.require_pairs()
        return preview.script(env, target, direction, language)
    env.back_up(options.backup)
    env.on_error(options.on_error)
    env.trust_no_edits(options.wait_s)
    env.directory.require_pairs()
    witness: Witness | None = None
    if options.dry_run or options.verify or options.confirm is not None:
        require_target(env.directory, target, direction)
        env.check_servers()
        plan, states = env.foresee(target, direction)
        if options.dry_run:
            return preview.describe(env, plan, states)
        begun = [name for name, state in states.items() if state.applied]
        losses = [*_losses(env, plan, begun), *told_of_emptied(env, plan.steps)]
        if options.confirm is not None and losses and not env.config.allow_destructive:
            options.confirm(losses)
        if options.verify:
            witness = Witness(env, plan)
    done = env.migrate(target, direction)
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
        backup=None if env.backup is None else env.backup.name,
        verified=witness.compare() if witness is not None else None,
        emptied=told_of_emptied(env, [result.step for result in done]),
    )


def _losses(env: Environment, plan: Plan, sides: Collection[BackendName]) -> list[str]:
    """Say what would be gone for good. sides: those that have something to lose."""
    return [
        f"{step.revision.id}  {loss}"
        for step in plan.steps
        for name in step.backends
        if name in sides
        for loss in env.backends[name].destructive(step)
    ]


def upgrade_unasked(env: Environment) -> None:
    """Bring the sides in use up to head with nobody there to ask.

    Raises UsageError, with nothing changed, if that would take data away, unless
    DUALMIGRATE_ALLOW_DESTRUCTIVE is set. It is looked at with the locks held: another
    process may have filled what was empty. A plan that touches no data of the app's
    takes none away.
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
                "An automatic upgrade would take something away, for good: "
                f"{losses[0]}{more}",
                hint="Nothing was changed. Run: flask db-migrate upgrade; or allow it "
                "with DUALMIGRATE_ALLOW_DESTRUCTIVE=1.",
            )

    env.trust_no_edits()
    env.migrate("heads", Direction.UPGRADE, approve=approve)


def stamp(
    env: Environment, target: str = "head", *, confirm: Confirm | None = None
) -> StampResult:
    """Mark a revision and all below it as applied on the sides in use; run nothing."""
    directory = env.directory
    directory.require_pairs()
    heads = (
        ()
        if target == "base"
        else tuple(revision.id for revision in directory.resolve(target))
    )
    wanted = directory.ancestors(heads)
    revisions = [rev for rev in directory.topological() if rev.id in wanted]
    env.check_servers()
    states = env.states()
    require_pair(states)
    losses = forgotten(directory, states, wanted)
    if confirm is not None and losses:
        confirm(losses)
    env.check_rights()
    with env.locked():
        refuse_half_done(env.states())
        for backend in env.backends.values():
            backend.prepare()
        for backend in env.backends.values():
            backend.stamp(revisions)
    return StampResult(heads, env.in_scope)


def current(env: Environment) -> CurrentResult:
    """Say where each side in use stands."""
    directory = env.directory
    states = env.states()
    heads = {name: directory.heads_of(state.applied) for name, state in states.items()}
    beyond = ahead(directory, states)
    paired = is_pair(states)
    at_head = paired and not beyond and not pending(directory, states)
    return CurrentResult(heads, at_head, half_done(states), beyond, paired)


def status(env: Environment) -> StatusResult:
    """Say of each revision how it stands on each side, in use or not."""
    states = env.states()
    columns = tuple(reversed(env.available))
    at_work = _at_work(env, states)
    progress = _open_progress(env, states, at_work)
    rows = make_status(env.directory, states, columns, progress, at_work)
    problems = (*env.directory.pair_problems(), *env.directory.lock_problems())
    waiting = len(pending(env.directory, states))
    beyond = ahead(env.directory, states)
    return StatusResult(rows, columns, waiting, problems, beyond, is_pair(states))


def _at_work(env: Environment, states: States) -> frozenset[BackendName]:
    """Return the sides that somebody works on; asked only where something is open."""
    return frozenset(
        name
        for name, state in states.items()
        if state.open_entries() and env.backends[name].is_at_work()
    )


def _open_progress(
    env: Environment, states: States, at_work: frozenset[BackendName]
) -> OpenProgress:
    """Return how far open attempts are; of those that stopped, without a rate."""
    found = {
        (name, entry.revision): env.backends[name].progress(entry)
        for name, state in states.items()
        for entry in state.open_entries()
    }
    return {
        key: progress if key[0] in at_work else replace(progress, rate=None)
        for key, progress in found.items()
        if progress is not None
    }


def history(
    env: Environment, rev_range: str | None = None, *, indicate_current: bool = False
) -> GraphResult:
    """List revisions, newest first; rev_range is `from:to`, either may be left out."""
    marks = _current_marks(env) if indicate_current else {}
    return list_history(env.directory, rev_range, marks)


def _current_marks(env: Environment) -> dict[str, tuple[BackendName, ...]]:
    marks: dict[str, tuple[BackendName, ...]] = {}
    for name, at in current(env).heads.items():
        for head in at:
            marks[head] = (*marks.get(head, ()), name)
    return marks


def heads(env: Environment) -> GraphResult:
    """List the revisions that nothing follows."""
    return list_heads(env.directory)


def branches(env: Environment) -> GraphResult:
    """List the revisions that more than one follows."""
    return list_branches(env.directory)


def show(env: Environment, identifier: str = "head") -> ShowResult:
    """Say all about one revision."""
    directory = env.directory
    found = single(directory, identifier)
    files = {
        name: directory.script(name, found.id).path
        for name in env.available
        if directory.has(name, found.id)
    }
    attempts = {
        name: backend.history(found.id) for name, backend in env.backends.items()
    }
    return ShowResult(place(directory, found.id), files, attempts)


def check(env: Environment, *, wait_s: float = 0.0) -> CheckResult:
    """Look for what keeps a deployment from being safe; touches nothing.

    wait_s: seconds to wait for the servers to come up.
    """
    env.wait_for_servers(wait_s)
    directory = env.directory
    findings = [Finding("pair", text) for text in directory.pair_problems()]
    findings += [Finding("lock-file", text) for text in directory.lock_problems()]
    findings += [Finding("todo", text) for text in _todos(env)]
    states = env.states()
    if not is_pair(states):
        findings.append(Finding("databases", NOT_A_PAIR))
    findings += [Finding("edited", text) for text in edited_scripts(directory, states)]
    beyond = ahead(directory, states)
    findings += [Finding("deleted", text) for text in beyond]
    found = contradictions(directory, states)
    findings += [Finding("history", contradiction.what) for contradiction in found]
    findings += [Finding("half-done", text) for text in half_done(states)]
    waiting = pending(directory, states)
    findings += [
        Finding("pending", f"Revision {rev.id} ({rev.message}) is pending")
        for rev in waiting
    ]
    differing, not_compared = _look_at_models(env, beyond=beyond, waiting=waiting)
    findings += [Finding("models", text) for text in differing]
    if env.config.validators != "off":
        not_compared = (*not_compared, "the validators of MongoDB, with the models")
    return CheckResult(tuple(findings), not_compared)


def _look_at_models(
    env: Environment, *, beyond: Sequence[str], waiting: Sequence[Revision]
) -> tuple[Sequence[str], tuple[str, ...]]:
    """Return what `check` says of the models, and what it did not compare."""
    if not env.compares_models:
        compared = env.against_scripts()
        texts = _differing(compared, "what the Alembic scripts make")
        return texts, compared.not_compared
    if beyond:
        return [_NOT_COMPARED], ()
    if waiting:
        return (), ("the models, with the database: revisions are pending",)
    compared = compare_with_models(env)
    return _differing(compared), compared.not_compared


_NOT_COMPARED = (
    "The models were not compared: what the database has beyond this code would be "
    "taken for something to drop"
)


def _todos(env: Environment) -> list[str]:
    directory = env.directory
    if BackendName.MONGO not in env.available:
        return []
    return [
        f"Revision {revision_id} has a todo left: {operation.text}"
        for revision_id in directory.revisions
        if directory.has(BackendName.MONGO, revision_id)
        for operation in record(
            directory.script(BackendName.MONGO, revision_id), Direction.UPGRADE
        )
        if isinstance(operation, Todo)
    ]


def model_differences(env: Environment) -> Sequence[str]:
    """Return in words where the models differ from PostgreSQL, which is at head."""
    return _differing(compare_with_models(env))


def _differing(compared: Comparison, there: str = "the database") -> list[str]:
    return [f"The models differ from {there}: {text}" for text in compared.differences]


def compare_with_models(env: Environment) -> Comparison:
    """Compare the models with PostgreSQL, where it is in use; it is to be at head."""
    if not env.compares_models:
        return Comparison(())
    scripts = env.made_by_scripts()
    with (
        driver_errors("be compared with the models"),
        env.engine.connect() as link,
        env.hooks_context(autogenerate=True) as context,
    ):
        return compare_models(
            link,
            env.metadata,
            options=env.alembic_options,
            environment=context,
            heads=env.directory.heads,
            made=scripts,
        )
