"""The message of a failed run: what remains and how to continue. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ..backend.journal import Undone
from ..errors import DualMigrateError, PartialFailure, shown
from ..revisions import BackendName, Direction, Step
from .on_error import OnError
from .plan import Plan


@dataclasses.dataclass(frozen=True)
class FailedRun:
    """The facts about a run when one of its steps fails.

    done: ids of the revisions that it completed before. sides: in use. backup: the name
    of the one that it made; None: it made none. on_error: what happens to the step.
    """

    plan: Plan
    done: Sequence[str]
    sides: Sequence[BackendName]
    backup: str | None
    on_error: OnError


@dataclasses.dataclass(frozen=True)
class Stands:
    """What remains after undoing a failed step, by side.

    stays: what could not be undone at all, and what must be continued. exceptions: what
    the undo had to leave in what it undid.
    """

    stays: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()

    def __add__(self, other: Stands) -> Stands:
        return Stands(self.stays + other.stays, self.exceptions + other.exceptions)

    @property
    def lines(self) -> tuple[str, ...]:
        return self.stays + self.exceptions


def stands(name: BackendName, undone: Undone) -> Stands:
    """Return in words what the undo of a step left on one side."""
    stays: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    if undone.stays is not None:
        stays = (f"On {name.label} some of it remains: {undone.stays}",)
    if undone.notes:
        noted = "; ".join(undone.notes)
        exceptions = (f"On {name.label} it was undone except for this: {noted}",)
    return Stands(stays, exceptions)


def failure(run: FailedRun, step: Step, error: Exception, left: Stands) -> Exception:
    """Return what to raise for a failed step.

    An error that is not the script's fault keeps its class, and so its exit code; the
    other facts are added as notes.
    """
    if getattr(error, "exit_code", 1) == 1:
        return _partial(run, step, error, left)
    for line in left.lines:
        error.add_note(line)
    kept = left.stays or run.on_error is OnError.KEEP
    if kept and run.backup is not None:
        error.add_note(f"Or {way_back(run.backup, run.sides)}")
    if run.done:
        error.add_note(f"Done before it: {', '.join(run.done)}.")
    return error


def _partial(
    run: FailedRun, step: Step, error: Exception, left: Stands
) -> PartialFailure:
    ids = [item.revision.id for item in run.plan.steps]
    place = ids.index(step.revision.id)
    return PartialFailure(
        f"The {step.direction} of {step.revision.id} failed: {reason_of(error)}",
        applied=run.done,
        failed=step.revision.id,
        untouched=ids[place + 1 :],
        error=error,
        hint=_what_stands(run, step, left),
    )


def _what_stands(run: FailedRun, step: Step, left: Stands) -> str:
    before = f"Done before it: {', '.join(run.done)}. " if run.done else ""
    again = f"flask db-migrate {run.plan.direction} {run.plan.fixed_target}"
    lines = [*left.lines]
    if run.on_error is not OnError.UNDO:
        lines.insert(0, "What it did is kept")
    if left.stays or run.on_error is not OnError.UNDO:
        back = "" if run.backup is None else f"; or {way_back(run.backup, run.sides)}"
        return (
            f"{before}{'; '.join(lines)}. Fix the script without changing the part "
            f"that is done, then carry on with: {again}{back}"
        )
    is_up = step.direction is Direction.UPGRADE
    said = "; ".join(lines) or "It was undone"
    link = ". The" if lines else ": the"
    return (
        f"{before}{said}{link} revision is {'not' if is_up else 'still'} applied. Fix "
        f"the script, then: {again}"
    )


def way_back(backup: str, sides: Sequence[BackendName]) -> str:
    """Return the words that name the command that restores everything.

    sides: of the run; the command for a backup of one side must name it.
    """
    if len(sides) > 1:
        what, option = "both databases", ""
    else:
        what, option = f"the database on {sides[0].label}", f" --backend {sides[0]}"
    return (
        f"restore {what} to the state before this run: "
        f"flask db-migrate restore {backup}{option}"
    )


def after_restore(
    plan: Plan, backup: str, error: Exception, sides: Sequence[BackendName]
) -> Exception:
    """Return a failure's message for databases that were restored.

    A script may also have written elsewhere, which cannot be known here.
    """
    again = f"flask db-migrate {plan.direction} {plan.fixed_target}"
    what = "Both databases were"
    if len(sides) == 1:
        what = f"The database on {sides[0].label} was"
    text = (
        f"{what} restored from backup {backup}, as before this run. Changes that a "
        "script made elsewhere, such as in another database or in a file, are in no "
        "backup and remain"
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
        hint=f"{text}. Fix the script, then: {again}",
    )


def reason_of(error: Exception) -> str:
    """Return an error in one line, without a final period."""
    if isinstance(error, DualMigrateError):
        return str(error).rstrip(".")
    text = str(error).strip() or "no message"
    return shown(f"{type(error).__name__}: {text.splitlines()[0]}")
