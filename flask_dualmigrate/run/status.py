"""The status of both sides: pure functions over their states."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from ..backend import Progress, State
from ..backend.journal import Entry
from ..errors import IntegrityError
from ..revisions import BackendName, Direction, Revision, Status
from ..tree.directory import Hashed, ScriptDirectory
from ..tree.graph import RevisionGraph
from .plan import States, is_applied, is_pair, unknown_ids
from .readiness import Readiness

OpenProgress = Mapping[tuple[BackendName, str], Progress]
"""Side and revision id -> the progress of an open attempt, if known."""

NOT_USED = "not used here"
PENDING = "pending"


@dataclasses.dataclass(frozen=True)
class SideStatus:
    """The state of one revision on one side.

    state: applied, pending, failed, running, stopped, or "not used here"; stopped means
    half done and not running.
    duration_ms: milliseconds; None for a stamp. progress: of the operation in progress,
    from the journal.
    """

    state: str
    applied_at: datetime | None = None
    duration_ms: int | None = None
    by: str | None = None
    host: str | None = None
    stamped: bool = False
    error: str | None = None
    progress: Progress | None = None


@dataclasses.dataclass(frozen=True)
class RevisionStatus:
    """One row of `status`."""

    revision: str
    message: str
    sides: Mapping[BackendName, SideStatus]


def make_status(
    directory: ScriptDirectory,
    states: States,
    backends: Sequence[BackendName],
    progress: OpenProgress = MappingProxyType({}),
    at_work: Collection[BackendName] | None = None,
) -> tuple[RevisionStatus, ...]:
    """Return one row per revision, newest first; `backends` are the columns.

    at_work: the sides whose lock is held; None: unknown.
    """
    halted = frozenset() if at_work is None else states.keys() - frozenset(at_work)
    return tuple(
        RevisionStatus(
            revision.id,
            revision.message,
            {
                name: _side(states, name, revision.id, progress, halted)
                for name in backends
            },
        )
        for revision in reversed(directory.topological())
    )


def _side(
    states: States,
    name: BackendName,
    revision_id: str,
    progress: OpenProgress,
    halted: Collection[BackendName],
) -> SideStatus:
    if name not in states:
        return SideStatus(NOT_USED)
    state = states[name]
    entry = state.entries.get(revision_id)
    if entry is None:
        return SideStatus("applied" if revision_id in state.applied else PENDING)
    return SideStatus(
        "stopped" if name in halted and _is_under_way(entry) else _word(state, entry),
        entry.applied_at if revision_id in state.applied else None,
        entry.duration_ms if revision_id in state.applied else None,
        entry.by,
        entry.host,
        entry.stamped,
        entry.error,
        progress.get((name, revision_id)),
    )


def _is_under_way(entry: Entry) -> bool:
    return entry.status is Status.RUNNING


def unfinished(states: States) -> Iterator[tuple[BackendName, Entry]]:
    """Yield the open attempts that a run of these sides could end."""
    for name, state in states.items():
        for entry in state.open_entries():
            if not (entry.awaits_partner and len(states) == 1):
                yield name, entry


def heads_of(
    graph: RevisionGraph, states: States
) -> dict[BackendName, tuple[str, ...]]:
    """Return the current revisions of each side."""
    return {name: graph.heads_of(state.applied) for name, state in states.items()}


def half_done(states: States) -> tuple[str, ...]:
    """Return the open attempts, one line each, and the commands that continue them."""
    return tuple(
        f"The {entry.direction} of {entry.revision} is half done on {name.label}; "
        f"carry it on with: flask db-migrate {entry.direction}"
        for name, entry in unfinished(states)
    )


def undoing_notes(states: States, only: str | None = None) -> tuple[str, ...]:
    """Return what the last undo of each revision left, one line each.

    only: just this revision.
    """
    return tuple(
        f"{entry.revision} was undone on {name.label} except for this: {note}"
        for name, state in states.items()
        for entry in state.entries.values()
        if only in (entry.revision, None)
        for note in entry.notes
    )


def make_readiness(graph: RevisionGraph, states: States) -> Readiness:
    """Return what the sides in use lack for the revisions of a tree."""
    begun = {entry.revision for _, entry in unfinished(states)}
    return Readiness(
        tuple(revision.id for revision in pending(graph, states)),
        tuple(sorted(begun & graph.revisions.keys())),
        tuple(
            sorted({id_ for ids in unknown_ids(graph, states).values() for id_ in ids})
        ),
        is_pair(states),
    )


def _word(state: State, entry: Entry) -> str:
    if entry.status is Status.RUNNING:
        return "running"
    if entry.partial:
        return "failed"
    if entry.revision in state.applied:
        return "applied"
    failed = entry.status is Status.FAILED and entry.direction is Direction.UPGRADE
    return "failed" if failed else PENDING


def pending(directory: RevisionGraph, states: States) -> tuple[Revision, ...]:
    """Return the revisions that some side in use still needs, oldest first."""
    return tuple(
        revision
        for revision in directory.topological()
        if not all(is_applied(states, name, revision.id) for name in states)
    )


def edited_ids(scripts: Hashed, name: BackendName, state: State) -> tuple[str, ...]:
    """Return the applied revisions whose script differs from what was run."""
    return tuple(
        revision_id
        for revision_id in sorted(state.applied & scripts.revisions.keys())
        if (entry := state.entries.get(revision_id)) is not None
        and entry.checksum
        and entry.applied
        and not entry.open
        and scripts.has(name, revision_id)
        and scripts.checksum(name, revision_id) != entry.checksum
    )


def edited_scripts(scripts: Hashed, states: States) -> Iterator[str]:
    """Yield a line for each applied script that was edited since."""
    for name, entry in _edited(scripts, states):
        yield (
            f"The {name.label} script of {entry.revision} was edited after it was run"
            f"{_moved(scripts, entry)} (SHA-256 {entry.checksum} then, "
            f"{scripts.checksum(name, entry.revision)} now)"
        )


def _edited(scripts: Hashed, states: States) -> Iterator[tuple[BackendName, Entry]]:
    for name, state in states.items():
        for revision_id in edited_ids(scripts, name, state):
            yield name, state.entries[revision_id]


def _moved(scripts: Hashed, entry: Entry) -> str:
    """Return which revisions an applied one follows now, if that changed."""
    now = scripts.revisions[entry.revision].parents
    if set(now) == set(entry.down_revision):
        return ""
    before, after = (
        " and ".join(ids) or "nothing" for ids in (entry.down_revision, now)
    )
    return (
        f": it followed {before} and now follows {after}. New revisions must come "
        "after all applied ones"
    )


def refuse_edited(scripts: Hashed, states: States) -> None:
    """Raise IntegrityError naming the first applied script that was edited."""
    edited = _edited(scripts, states)
    for text, (_, entry) in zip(edited_scripts(scripts, states), edited, strict=True):
        raise IntegrityError(
            text,
            where=str(scripts.root),
            hint="Restore the file, for instance from git, and make the change in a "
            "new revision; or accept it as it is now, with: flask db-migrate repair "
            f"{entry.revision} --accept-checksum; or restore it, undo the revision "
            "with: flask db-migrate downgrade, and then edit it.",
        )


def forgotten(
    graph: RevisionGraph, states: States, wanted: Collection[str]
) -> tuple[str, ...]:
    """Return what a stamp would forget, one line each: revisions that were run there.

    What this tree lacks comes first: what it changed is not known here. wanted: the ids
    that will count as applied.
    """
    unknown = unknown_ids(graph, states)
    lacking = tuple(
        f"{revision_id}: that {name.label} has it; this tree has no script for it"
        for name, ids in unknown.items()
        for revision_id in ids
    )
    return lacking + tuple(
        f"{revision_id}: that it was run on {name.label}, and how to undo it"
        for name, state in states.items()
        for revision_id in sorted(
            state.applied - frozenset(wanted) - frozenset(unknown.get(name, ()))
        )
        if (entry := state.entries.get(revision_id)) is not None and not entry.stamped
    )
