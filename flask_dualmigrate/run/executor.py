"""Running a plan step by step: resume unfinished steps, undo failed ones.

One revision, on both sides, before the next is begun. The side that can decide
atomically goes last (last-resource commit); the other keeps an undo log.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Any

from ..backend import Runner, Runners
from ..backend.journal import Entry, Undone
from ..errors import (
    DualMigrateError,
    IntegrityError,
    LockLost,
    OutcomeUnknown,
    StepInDoubt,
    redact,
)
from ..revisions import BackendName, Direction, Revision, Step
from ..runtime.crashpoints import reached
from ..runtime.events import since_ms, tell
from ..runtime.stopping import Interrupted
from .failure import FailedRun, Stands, failure, reason_of, stands
from .on_error import OnError
from .plan import Plan, States

log = logging.getLogger("flask_dualmigrate.executor")
UNDECIDED = (OutcomeUnknown, StepInDoubt, LockLost)
"""Errors after which nothing is undone: the outcome is unknown, or the lock is lost."""


@dataclasses.dataclass(frozen=True)
class StepResult:
    """One step that was done. duration_ms: milliseconds, all sides together.

    notes: details about a step that was undone, and what of it stays.
    """

    step: Step
    duration_ms: int
    notes: tuple[str, ...] = ()


def partner_decided(states: States, name: BackendName, entry: Entry) -> bool:
    """Return whether what this side waits with is final.

    It is if the partner has committed it; a single side does not wait.
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

    runners: of the sides, in the order they are worked on, the deciding one last.
    on_step: called with each step before it begins. keep_going: called before each
    step; raises when the run must stop.
    on_error: what happens to a step whose script fails; RESTORE leaves it as it is, for
    the caller. backup: the name of this run's backup, for the message. undone: the
    half-done steps of earlier runs that recover() undid.
    """

    def __init__(
        self,
        runners: Runners,
        *,
        on_step: Callable[[Step], None] | None = None,
        keep_going: Callable[[], None] | None = None,
        on_error: OnError = OnError.UNDO,
    ) -> None:
        self.backup: str | None = None
        self.on_error = on_error
        self.undone: list[StepResult] = []
        self._runners = runners
        self._on_step = on_step or (lambda step: None)
        self._keep_going = keep_going or (lambda: None)
        self._left = Stands()

    def recover(
        self,
        states: States,
        direction: Direction,
        revision_of: Callable[[Entry], Revision],
    ) -> bool:
        """Close unfinished work of earlier runs that this run will not continue.

        Returns whether anything was changed, so that the states must be read again.
        Raises IntegrityError if an open attempt can neither be continued nor undone.
        """
        changed = False
        for name, state in states.items():
            for entry in state.open_entries():
                step = Step(revision_of(entry), entry.direction, (name,))
                notes: tuple[str, ...] = ()
                started, how = time.monotonic(), "undone"
                if partner_decided(states, name, entry):
                    self._runners[name].settle(step)
                    how = "closed"
                elif entry.direction is not direction:
                    notes = self._undo_open(name, step)
                else:
                    continue
                changed = True
                _tell(
                    "recovered",
                    f"the unfinished {entry.direction} of {entry.revision} is "
                    f"{how}{_except_for(notes)}",
                    step,
                    started,
                    level=logging.WARNING if notes else logging.INFO,
                    backend=name,
                    how=how,
                    notes=notes or None,
                )
        return changed

    def _undo_open(self, name: BackendName, step: Step) -> tuple[str, ...]:
        """Undo an open attempt; return notes about it."""
        started = time.monotonic()
        try:
            undone = self._runners[name].revert(step, None)
        except Interrupted as stopped:
            stopped.revision = step.revision.id
            raise
        self.undone.append(StepResult(step, since_ms(started), undone.notes))
        if undone.stays is not None:
            noted = "".join(f"; {note}" for note in undone.notes)
            raise IntegrityError(
                f"The {step.direction} of {step.revision.id} stopped halfway and "
                f"cannot be undone: {undone.stays}{noted}",
                where=str(name),
                hint=f"Carry it on with: flask db-migrate {step.direction} "
                f"{step.target}",
            )
        return undone.notes

    def run(self, plan: Plan) -> tuple[StepResult, ...]:
        """Do the steps of a plan.

        Raises PartialFailure if one fails: that one is undone, earlier ones stay.
        Raises Interrupted if it must stop: the current step stays as it is.
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
            if not all(self._runners[name].atomic for name in step.backends):
                stopped.revision = step.revision.id
            raise
        except Exception as error:
            told = self._told(plan, results, step, error)
            if told is error:
                raise
            raise told from error
        reached("step.executed")
        self._settle(step)
        reached("step.settled")
        duration_ms = since_ms(started)
        text = f"{what} done in {duration_ms} ms"
        _tell("step_done", text, step, started, backends=sides)
        return StepResult(step, duration_ms)

    def _told(
        self, plan: Plan, results: list[StepResult], step: Step, error: Exception
    ) -> Exception:
        """Return what to raise for a step that failed."""
        ids = [result.step.revision.id for result in results]
        backup = None if isinstance(error, UNDECIDED) else self.backup
        run = FailedRun(plan, ids, [*self._runners], backup, self.on_error)
        return failure(run, step, error, self._left)

    def _execute(self, step: Step) -> None:
        done: list[Runner] = []
        self._left = Stands()
        started = time.monotonic()
        for name in step.backends:
            runner = self._runners[name]
            # Until it is settled its undo log exists, and would be taken for finished
            # work: so it stays open, even if no partner follows.
            decides = runner.atomic and name == step.backends[-1]
            try:
                runner.execute(step, partner=not decides)
            except Exception as error:
                _tell(
                    "step_failed",
                    f"{step.direction} {step.revision.id} failed",  # the run says why
                    step,
                    started,
                    level=logging.WARNING,
                    backends=[*step.backends],
                    error=error,
                )
                if isinstance(error, UNDECIDED):
                    raise
                if self.on_error is OnError.UNDO:
                    self._undo([*done, runner], step, error)
                else:
                    self._keep(runner, step, error)
                raise
            done.append(runner)
            reached("step.side")

    def _settle(self, step: Step) -> None:
        """Close a step that is done; if that fails, the next run does it."""
        try:
            for name in step.backends:
                self._runners[name].settle(step)
        except DualMigrateError as error:
            error.add_note(
                f"The {step.direction} of {step.revision.id} itself is done; the next "
                "run closes its journal."
            )
            raise

    def _undo(self, runners: list[Runner], step: Step, error: Exception) -> None:
        """Undo a failed step, newest first; remember what remains."""
        text = redact(str(error))
        by_script = getattr(error, "exit_code", 1) == 1
        for runner in reversed(runners):
            started, name = time.monotonic(), runner.name
            try:
                undone = runner.revert(step, text, by_script=by_script)
            except Interrupted as stopped:
                stopped.add_note(f"It had failed and is being undone: {text}")
                raise
            except Exception as undo_error:
                # Whatever the error was: the other side must be undone anyway.
                undone = Undone(reason_of(undo_error))
            self._left += stands(name, undone)
            end = _except_for(undone.notes)
            if undone.stays is not None:
                end = f" only in part: {undone.stays}{end}"
            _tell(
                "step_undone",
                f"{step.direction} {step.revision.id} on {name.label} undone{end}",
                step,
                started,
                level=logging.WARNING if end else logging.INFO,
                backend=name,
                stays=undone.stays,
                notes=undone.notes or None,
            )

    def _keep(self, runner: Runner, step: Step, error: Exception) -> None:
        """Keep a failed step as it is, for the next run to continue."""
        try:
            runner.keep(step, redact(str(error)))
        except DualMigrateError as other:
            # It then stays open, as after a kill, and is continued in the same way.
            said = f"The failure could not be recorded: {reason_of(other)}"
            self._left += Stands((said,))


def _except_for(notes: tuple[str, ...]) -> str:
    """Return, for a sentence, what an undo left; empty for nothing."""
    return f" except for this: {'; '.join(notes)}" if notes else ""


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
