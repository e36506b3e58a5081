"""Failures of another run while this one waited for its locks. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from ..backend import State
from ..backend.journal import Entry
from ..errors import PartialFailure, ScriptError
from ..revisions import BackendName, Direction, Status
from ..tree.directory import ScriptDirectory
from .plan import Plan, States


def refuse_repetition(
    directory: ScriptDirectory, plan: Plan, *, before: States, now: States
) -> None:
    """Raise PartialFailure if the first step has just failed with the same scripts.

    before, now: the sides' states before this run waited, and with the locks held. A
    failure that is only in `now` was recorded meanwhile: no clocks are compared. A
    failure that was there before is retried, and so is one of other scripts, or of
    none, which means that a server or a lock was lost.
    """
    if plan.direction is not Direction.UPGRADE or not plan.steps:
        return
    step = plan.steps[0]
    failed = {
        name: entry
        for name, entry in _failures(step.revision.id, before, now)
        if name in step.backends
    }
    if not failed or any(
        directory.checksum(name, step.revision.id) != entry.checksum
        for name, entry in failed.items()
    ):
        return
    # The side that failed is the last one that was worked on.
    entry = max(failed.items(), key=lambda item: step.backends.index(item[0]))[1]
    reason = (entry.error or "no reason is recorded").rstrip(".")
    raise PartialFailure(
        f"The upgrade of {step.revision.id} failed: {reason}",
        applied=[],
        failed=step.revision.id,
        untouched=[later.revision.id for later in plan.steps[1:]],
        error=ScriptError(reason),
        hint=f"{entry.by} on {entry.host} tried it while this run waited, so it is not "
        "tried again. Fix the script, then: flask db-migrate upgrade "
        f"{plan.fixed_target}",
    )


def _failures(
    revision_id: str, before: States, now: States
) -> Iterator[tuple[BackendName, Entry]]:
    for name, state in now.items():
        entry = state.entries.get(revision_id)
        if entry is None or entry.direction is not Direction.UPGRADE:
            continue
        if entry.status is Status.FAILED and not _is_known(entry, before.get(name)):
            yield name, entry


def _is_known(entry: Entry, before: State | None) -> bool:
    """Return whether a failure was already in the journal."""
    known = before.entries.get(entry.revision) if before else None
    return known is not None and (known.status, known.finished_at) == (
        entry.status,
        entry.finished_at,
    )
