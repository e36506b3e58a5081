"""What a run would do, without running it: a dry run or a printed script."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..backend import PlannedStep, State
from ..environment import Environment
from ..errors import UsageError
from ..revisions import BackendName, Direction
from ..run.plan import Plan, States
from .emptied import not_restored


@dataclasses.dataclass(frozen=True)
class PlannedRevision:
    """One revision of a plan, and what each side would do."""

    revision: str
    message: str
    sides: tuple[PlannedStep, ...]


@dataclasses.dataclass(frozen=True)
class PlanResult:
    """The result of `upgrade --dry-run` and `downgrade --dry-run`.

    backup: what would be backed up, in words; None: nothing. backup_refused: why that
    would end the run before anything is changed; None: it would not. emptied:
    as in RunResult.
    """

    direction: Direction
    revisions: tuple[PlannedRevision, ...]
    backup: str | None = None
    backup_refused: str | None = None
    emptied: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """False if something in it would fail, by what the databases hold now."""
        return not self.problems

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(
            problem
            for planned in self.revisions
            for side in planned.sides
            for forecast in side.forecasts
            for problem in forecast.problems
        )


@dataclasses.dataclass(frozen=True)
class ScriptResult:
    """What `--sql` and `--mongosh` print. language: sql or javascript."""

    language: str
    text: str


LANGUAGES = {
    "sql": BackendName.POSTGRES,
    "mongosh": BackendName.MONGO,
}
"""The languages of a script, and the side each is for."""


def describe(env: Environment, plan: Plan, states: States) -> PlanResult:
    """Return what a plan would do; the databases are only read."""
    taken_back = (
        PlannedRevision(
            entry.revision,
            entry.description,
            (PlannedStep(name, (f"undo the {entry.direction} that stopped halfway",)),),
        )
        for name, state in states.items()
        for entry in state.open_entries()
        if entry.direction is not plan.direction
    )
    return PlanResult(
        plan.direction,
        (*taken_back, *_described(env, plan)),
        *env.run.backups.words(plan),
        emptied=not_restored(env, plan.steps),
    )


def _described(env: Environment, plan: Plan) -> tuple[PlannedRevision, ...]:
    planned_sides: dict[tuple[str, BackendName], PlannedStep] = {}
    for name, backend in env.backends.items():
        steps = [step for step in plan.steps if name in step.backends]
        for step, planned in zip(steps, backend.plan(steps), strict=True):
            planned_sides[step.revision.id, name] = planned
    return tuple(
        PlannedRevision(
            step.revision.id,
            step.revision.message,
            tuple(planned_sides[step.revision.id, name] for name in step.backends),
        )
        for step in plan.steps
    )


def script(
    env: Environment, target: str, direction: Direction, language: str
) -> ScriptResult:
    """Return the script of a plan for one side: SQL, or JavaScript for mongosh.

    target: as for a run, or FROM:TO, which needs no database. Without a FROM, SQL goes
    from base, as Alembic's does, and mongosh from the current revision.
    """
    name = LANGUAGES[language]
    if name not in env.in_scope:
        raise UsageError(
            f"--{language} is for {name.label}, which is not in use here",
            hint="See `active=` of DualMigrate, and --backend.",
        )
    start, _, end = target.rpartition(":")
    if language == "sql" and not start:
        if direction is Direction.DOWNGRADE:
            raise UsageError(
                "A downgrade as SQL needs a starting revision",
                hint="Give FROM:TO, such as: flask db-migrate downgrade --sql "
                "head:base",
            )
        start = "base"
    state = _stated(env, start) if start else _read(env, name)
    plan = env.run.plan(end or _end(direction), direction, {name: state})
    text = env.backends[name].script(plan.steps, sorted(state.applied))
    return ScriptResult("sql" if language == "sql" else "javascript", text)


def _end(direction: Direction) -> str:
    return "head" if direction is Direction.UPGRADE else "-1"


def _stated(env: Environment, start: str) -> State:
    """Return the state that a FROM means: it and all below it applied."""
    found = () if start == "base" else env.directory.resolve(start)
    return State(env.directory.ancestors([revision.id for revision in found]), {})


def _read(env: Environment, name: BackendName) -> State:
    backend = env.backends[name]
    backend.check()
    state = backend.read()
    half: Sequence[str] = [entry.revision for entry in state.open_entries()]
    if half:
        raise UsageError(
            f"Revision {half[0]} is half done on {name.label}, and a script cannot "
            "know what is left to do",
            hint="For your options: flask db-migrate repair",
        )
    return state
