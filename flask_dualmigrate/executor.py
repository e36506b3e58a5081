"""Walk a plan, step by step; resume what was begun, undo what failed.

One revision, on both sides, before the next is begun. The side that can decide
atomically goes last (last-resource commit); the other keeps an undo log.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from .backend import Backend
from .crashpoints import reached
from .errors import (
    DualMigrateError,
    IntegrityError,
    LockLost,
    OutcomeUnknown,
    PartialFailure,
    StepInDoubt,
    redact,
)
from .events import since_ms, tell
from .journal import Entry
from .plan import Plan, States
from .restoration import OnError
from .revision import BackendName, Direction, Revision, Step
from .stopping import Interrupted

log = logging.getLogger(__name__)
UNDECIDED = (OutcomeUnknown, StepInDoubt, LockLost)
"""After these nothing is undone: what there is, is not known, or not ours any more."""

Backends = Mapping[BackendName, Backend]


@dataclasses.dataclass(frozen=True)
class StepResult:
    """One step that was done. duration_ms: milliseconds, all sides together."""

    step: Step
    duration_ms: int


def require_pair(states: States) -> None:
    """Raise IntegrityError if the two sides hold different pair ids."""
    if len({state.pair_id for state in states.values()} - {None}) > 1:
        raise IntegrityError(
            "The two databases do not belong together: each was migrated with "
            "another partner",
            hint="Look at DATABASE_URL and MONGO_URI, or at what was restored.",
        )


def partner_decided(states: States, name: BackendName, entry: Entry) -> bool:
    """Return whether what this side waits with is final.

    That is so if the partner has committed it; alone, a side waits for nobody.
    """
    if not entry.awaits_partner:
        return False
    partners = [state for other, state in states.items() if other != name]
    if not partners:
        return True
    applied = entry.revision in partners[0].applied
    return applied is (entry.direction is Direction.UPGRADE)


class Executor:
    """Carries out plans on the sides in use, whose locks the caller holds.

    backends: in the order they are worked on, the deciding one last.
    on_step: told each step before it begins. keep_going: called before each step;
    raises when the run must stop.
    on_error: what becomes of a step whose script fails; RESTORE leaves it as it
    stands, for the caller. backup: the name of this run's, for what is said then.
    undone: the half-done steps of earlier runs that recover() took back.
    """

    def __init__(
        self,
        backends: Backends,
        *,
        on_step: Callable[[Step], None] | None = None,
        keep_going: Callable[[], None] | None = None,
        on_error: OnError = OnError.UNDO,
    ) -> None:
        self.backup: str | None = None
        self.on_error = on_error
        self.undone: list[StepResult] = []
        self._backends = backends
        self._on_step = on_step or (lambda step: None)
        self._keep_going = keep_going or (lambda: None)

    def pair(self, states: States) -> None:
        """See that both sides belong together; give them an id at their first run.

        Raises IntegrityError if they hold different ids.
        """
        require_pair(states)
        if len(states) < 2:
            return
        ids = [state.pair_id for state in states.values() if state.pair_id]
        pair_id = ids[0] if ids else uuid4().hex
        # The emptier side first: a kill in between must not look like a lost history.
        for name in sorted(states, key=lambda name: len(states[name].applied)):
            if states[name].pair_id is None:
                self._backends[name].set_pair_id(pair_id)

    def recover(
        self,
        states: States,
        direction: Direction,
        revision_of: Callable[[Entry], Revision],
    ) -> bool:
        """Close what earlier runs left open and this one will not carry on.

        Returns whether anything was changed, so that the states must be read again.
        Raises IntegrityError if an open attempt can neither be carried on nor undone.
        """
        changed = False
        for name, state in states.items():
            for entry in state.open_entries():
                step = Step(revision_of(entry), entry.direction, (name,))
                started, how = time.monotonic(), "undone"
                if partner_decided(states, name, entry):
                    self._backends[name].settle(step)
                    how = "closed"
                elif entry.direction is not direction:
                    self._undo_open(name, step)
                else:
                    continue
                changed = True
                _tell(
                    "recovered",
                    f"what was open of the {entry.direction} of {entry.revision} "
                    f"is {how}",
                    step,
                    started,
                    backend=name,
                    how=how,
                )
        return changed

    def _undo_open(self, name: BackendName, step: Step) -> None:
        started = time.monotonic()
        try:
            why = self._backends[name].revert(step, None)
        except Interrupted as stopped:
            stopped.revision = step.revision.id
            raise
        self.undone.append(StepResult(step, int((time.monotonic() - started) * 1000)))
        if why is not None:
            raise IntegrityError(
                f"The {step.direction} of {step.revision.id} stopped half-way, and "
                f"cannot be undone: {why}",
                where=str(name),
                hint=f"Carry it on with: flask db-migrate {step.direction} "
                f"{step.target}",
            )

    def run(self, plan: Plan) -> tuple[StepResult, ...]:
        """Do the steps of a plan.

        Raises PartialFailure if one fails: that one is undone, those before it stay.
        Raises Interrupted if it is to stop: the one at hand stays as it is.
        """
        results: list[StepResult] = []
        try:
            for step in plan.steps:
                self._keep_going()
                results.append(self._run_step(plan, results, step))
        except Interrupted as stopped:
            stopped.done = [result.step.revision.id for result in results]
            raise
        return tuple(results)

    def _run_step(
        self, plan: Plan, results: list[StepResult], step: Step
    ) -> StepResult:
        self._on_step(step)
        reached("step.start")
        started, sides = time.monotonic(), [*step.backends]
        what = f"{step.direction} {step.revision.id}"
        _tell("step_begun", f"{what} begun", step, backends=sides)
        try:
            self._execute(step)
        except Interrupted as stopped:
            if not all(self._backends[name].atomic for name in step.backends):
                stopped.revision = step.revision.id
            raise
        except Exception as error:
            failure = self._failure(plan, results, step, error)
            if failure is error:
                raise
            raise failure from error
        reached("step.executed")
        self._settle(step)
        reached("step.settled")
        duration_ms = since_ms(started)
        text = f"{what} done in {duration_ms} ms"
        _tell("step_done", text, step, started, backends=sides)
        return StepResult(step, duration_ms)

    def _execute(self, step: Step) -> None:
        done: list[Backend] = []
        started = time.monotonic()
        for name in step.backends:
            backend = self._backends[name]
            # Until it is settled, its undo log is there, and would be taken for work
            # that is done: so it stays open, even if no partner comes after it.
            decides = backend.atomic and name == step.backends[-1]
            try:
                backend.execute(step, partner=not decides)
            except Exception as error:
                _tell(
                    "step_failed",
                    f"{step.direction} {step.revision.id} failed: {error}",
                    step,
                    started,
                    level=logging.ERROR,
                    backends=[*step.backends],
                    error=error,
                )
                if isinstance(error, UNDECIDED):
                    raise
                if self.on_error is OnError.UNDO:
                    self._undo([*done, backend], step, error)
                else:
                    self._keep(backend, step, error)
                raise
            done.append(backend)
            reached("step.side")

    def _settle(self, step: Step) -> None:
        """Close a step that is done; if that fails, the next run does it."""
        try:
            for name in step.backends:
                self._backends[name].settle(step)
        except DualMigrateError as error:
            error.add_note(
                f"The {step.direction} of {step.revision.id} itself is done; the next "
                "run closes its journal."
            )
            raise

    def _undo(self, backends: list[Backend], step: Step, error: Exception) -> None:
        """Take a failed step back, newest first; note on the error what stays."""
        text = redact(str(error))
        by_script = getattr(error, "exit_code", 1) == 1
        for backend in reversed(backends):
            started = time.monotonic()
            try:
                why = backend.revert(step, text, by_script=by_script)
            except Interrupted as stopped:
                stopped.add_note(f"It had failed, and is being undone: {text}")
                raise
            except Exception as undo_error:
                # Whatever it was: the other side must be undone all the same.
                why = _reason(undo_error)
            if why is not None:
                error.add_note(f"On {backend.name.label} some of it stays: {why}")
            name = backend.name
            end = "undone" if why is None else f"not undone: {why}"
            what = f"{step.direction} {step.revision.id} on {name.label} {end}"
            _tell("step_undone", what, step, started, backend=name, stays=why)

    def _keep(self, backend: Backend, step: Step, error: Exception) -> None:
        """Leave a failed step as it stands: the next run carries it on."""
        try:
            backend.keep(step, redact(str(error)))
        except DualMigrateError as other:
            # It stays open then, as after a kill: that is carried on too.
            error.add_note(f"That it failed could not be written down: {other}")

    def _failure(
        self, plan: Plan, results: list[StepResult], step: Step, error: Exception
    ) -> Exception:
        """Return what to raise for a failed step.

        What is no fault of the script keeps its own class, and so its exit code.
        """
        if getattr(error, "exit_code", 1) != 1:
            done = _ids(results)
            kept = hasattr(error, "__notes__") or self.on_error is OnError.KEEP
            if kept and self.backup is not None and not isinstance(error, UNDECIDED):
                error.add_note(f"Or {way_back(self.backup, [*self._backends])}")
            if done:
                error.add_note(f"Done before it: {done}.")
            return error
        ids = [item.revision.id for item in plan.steps]
        place = ids.index(step.revision.id)
        notes = getattr(error, "__notes__", [])
        stays = "; ".join(redact(note) for note in notes)
        reason = redact(f"{_reason(error)}")
        return PartialFailure(
            f"The {step.direction} of {step.revision.id} failed: {reason}",
            applied=[result.step.revision.id for result in results],
            failed=step.revision.id,
            untouched=ids[place + 1 :],
            error=error,
            hint=self._what_stands(plan, results, step, stays),
        )

    def _what_stands(
        self, plan: Plan, results: list[StepResult], step: Step, stays: str
    ) -> str:
        done = _ids(results)
        before = f"Done before it: {done}. " if done else ""
        again = f"flask db-migrate {plan.direction} {plan.fixed_target}"
        back = ""
        if self.backup is not None:
            back = f"; or {way_back(self.backup, [*self._backends])}"
        if self.on_error is not OnError.UNDO:
            stays = "; ".join(filter(None, ["What it had done is kept", stays]))
        if stays:
            return (
                f"{before}{stays}. Mend the script without changing what is done, then "
                f"carry on with: {again}{back}"
            )
        is_up = step.direction is Direction.UPGRADE
        return (
            f"{before}It was undone: the revision is "
            f"{'not applied' if is_up else 'still applied'}. Mend the script, then: "
            f"{again}"
        )


def way_back(backup: str, sides: Sequence[BackendName]) -> str:
    """Return the words that name the command which brings everything back.

    sides: of the run; a backup of one alone is asked for by its name.
    """
    if len(sides) > 1:
        what, option = "both databases", ""
    else:
        what, option = f"the database on {sides[0].label}", f" --backend {sides[0]}"
    return (
        f"bring {what} back, as before this run: "
        f"flask db-migrate restore {backup}{option}"
    )


def after_restore(
    plan: Plan, backup: str, error: Exception, sides: Sequence[BackendName]
) -> Exception:
    """Return a failure in the words for databases that were brought back.

    A script may have written to more than these, which nobody can tell from here.
    """
    again = f"flask db-migrate {plan.direction} {plan.fixed_target}"
    what = "Both databases were"
    if len(sides) == 1:
        what = f"The database on {sides[0].label} was"
    text = (
        f"{what} restored from backup {backup}, as before this run. What a script did "
        "elsewhere, such as in another database or in a file, is in no backup, and "
        "stays"
    )
    if not isinstance(error, PartialFailure):
        error.add_note(f"{text}.")
        return error
    ids = [step.revision.id for step in plan.steps]
    return PartialFailure(
        error.what,
        applied=(),
        failed=error.failed,
        untouched=[i for i in ids if i != error.failed],
        error=error.error,
        hint=f"{text}. Mend the script, then: {again}",
    )


def _tell(
    event: str, message: str, step: Step, started: float | None = None, **fields: Any
) -> None:
    """Log an event about a step. started: when it began, for its duration."""
    took_ms = None if started is None else since_ms(started)
    revision, direction = step.revision.id, step.direction
    tell(
        log,
        event,
        message,
        revision=revision,
        direction=direction,
        duration_ms=took_ms,
        **fields,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, DualMigrateError):
        return str(error).rstrip(".")
    text = str(error).strip() or "no message"
    return f"{type(error).__name__}: {text.splitlines()[0]}"


def _ids(results: list[StepResult]) -> str:
    return ", ".join(result.step.revision.id for result in results)
