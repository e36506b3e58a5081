"""`repair`: show what is unfinished or wrong, and settle it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..backend import Ways
from ..backend.holder import Holder
from ..backend.journal import Entry
from ..environment import Environment
from ..errors import IntegrityError, UsageError
from ..revisions import BackendName, Direction, Revision, Step
from ..run.executor import Executor, partner_decided
from ..run.options import Confirm
from ..run.plan import States, require_pair
from ..run.status import (
    RevisionStatus,
    edited_ids,
    heads_of,
    make_status,
    undoing_notes,
)
from . import repair_pair
from .history import single
from .repair_cases import Case, find_cases, target_of
from .repair_pair import PairResult


@dataclasses.dataclass(frozen=True)
class RepairReport:
    """What `repair` shows: the journals side by side, and each case.

    rows: revisions, newest first: those that a case is about or on which the sides
    differ. heads: the revisions of each side. notes: what the last undo of a revision
    left in the databases, one line each.
    """

    rows: tuple[RevisionStatus, ...]
    heads: Mapping[BackendName, tuple[str, ...]]
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.cases


@dataclasses.dataclass(frozen=True)
class UndoResult:
    """What `repair --undo` took back; closed: sides whose partner had decided.

    A closed one was not undone: it is done on both sides. notes: what the undo had to
    leave, one line each.
    """

    revision: str
    undone: tuple[BackendName, ...]
    closed: tuple[BackendName, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class AcceptResult:
    """The sides whose edited script `repair --accept-checksum` accepted."""

    revision: str
    backends: tuple[BackendName, ...]


@dataclasses.dataclass(frozen=True)
class RepairResult:
    """What `repair` decided about a step: it is done, or must be called again."""

    revision: str
    step: int
    done: bool


Repaired = RepairReport | RepairResult | UndoResult | AcceptResult | PairResult


def repair(
    env: Environment,
    identifier: str | None = None,
    *,
    step: int | None = None,
    done: bool | None = None,
    undo: bool = False,
    accept_checksum: bool = False,
    pair: bool = False,
    confirm: Confirm | None = None,
) -> Repaired:
    """Show what is unfinished or wrong, or make the requested choice.

    step: of the revision's Mongo script, from 0; done: it did its work, else it is
    called again. undo: undo the half-done revision, after asking `confirm`.
    accept_checksum: accept the edited script as the one that was run. pair: make a pair
    of two databases that each had a different partner, after asking `confirm`. Raises
    UsageError for several choices at once, or if a revision is missing.
    """
    _refuse_muddle(identifier, step, done, undo, accept_checksum, pair)
    if pair:
        return repair_pair.pair(env, confirm)
    if identifier is None:
        return report(env)
    revision = single(env.directory, identifier)
    if undo:
        return _undo(env, revision, confirm)
    if accept_checksum:
        return _accept(env, revision)
    if step is None or done is None:
        return report(env, revision.id)
    side = env.mongo_side("Only steps of MongoDB can be in doubt")
    env.run.check_servers()
    with env.run.locked():
        side.decide(revision.id, step, done=done)
    return RepairResult(revision.id, step, done)


def _refuse_muddle(
    identifier: str | None,
    step: int | None,
    done: bool | None,
    undo: bool,
    accept_checksum: bool,
    pair: bool,
) -> None:
    if (step is not None) + undo + accept_checksum + pair > 1:
        raise UsageError(
            "Use only one of --step, --undo, --accept-checksum and --pair",
            hint="For the options of each case: flask db-migrate repair",
        )
    if pair and identifier is not None:
        raise UsageError(
            "--pair concerns both databases and takes no revision",
            hint="Remove the revision.",
        )
    if (step is None) is not (done is None):
        raise UsageError(
            "--step N needs --done or --retry", hint="First check what it did."
        )
    if identifier is None and (step is not None or undo or accept_checksum):
        raise UsageError(
            "Name a revision", hint="flask db-migrate repair shows what is unfinished."
        )


def report(env: Environment, only: str | None = None) -> RepairReport:
    """Return the journals' rows and each case. only: just this revision."""
    states = env.run.states()
    open_entries = {
        (name, entry.revision): entry
        for name, state in states.items()
        for entry in state.open_entries()
    }
    cases = find_cases(
        env.directory,
        states,
        doubts={
            key: env.backends[key[0]].doubts(entry)
            for key, entry in open_entries.items()
        },
        progress={
            key: replace(progress, rate=None)
            for key, entry in open_entries.items()
            if (progress := env.backends[key[0]].progress(entry)) is not None
        },
        ways={key: _ways(env, key[0], entry) for key, entry in open_entries.items()},
        holders=_holders(env) if open_entries else {},
    )
    if only is not None:
        cases = tuple(case for case in cases if case.revision in (only, None))
    heads = heads_of(env.directory, states)
    rows = _rows(env, states, cases)
    return RepairReport(rows, heads, cases, undoing_notes(states, only))


def _ways(env: Environment, name: BackendName, entry: Entry) -> Ways:
    revision = env.directory.revisions.get(entry.revision)
    if revision is None:
        gone = f"there is no script for {entry.revision}; deploy the code that has it"
        return Ways(gone, gone)
    return env.backends[name].ways(Step(revision, entry.direction, (name,)))


def _holders(env: Environment) -> dict[BackendName, Holder]:
    return {
        name: holder
        for name, backend in env.backends.items()
        if (holder := backend.holder()) is not None
        and holder.gone is None
        and not holder.is_overdue
    }


def _rows(
    env: Environment, states: States, cases: Sequence[Case]
) -> tuple[RevisionStatus, ...]:
    """Return the revisions that a case is about, or on which the sides differ."""
    at_work = states.keys() if any(c.kind == "at-work" for c in cases) else ()
    columns = tuple(reversed(env.in_scope))
    rows = make_status(env.directory, states, columns, at_work=frozenset(at_work))
    about = {case.revision for case in cases}
    return tuple(
        row
        for row in rows
        if row.revision in about or len({s.state for s in row.sides.values()}) > 1
    )


def _undo(env: Environment, revision: Revision, confirm: Confirm | None) -> UndoResult:
    env.run.check_servers()
    states = env.run.states()
    found = _open(states, revision)
    _refuse_what_stays(env, states, found)
    if confirm is not None:
        confirm(_losses(revision, found))
    with env.run.locked():
        states = env.run.states()
        require_pair(states)
        found = _open(states, revision)
        only = {
            name: replace(
                state, entries={revision.id: found[name]} if name in found else {}
            )
            for name, state in states.items()
        }
        executor = Executor(env.backends)
        executor.recover(only, _opposite(found), lambda entry: revision)
    undone = tuple(name for result in executor.undone for name in result.step.backends)
    closed = tuple(name for name in found if name not in undone)
    notes = tuple(note for result in executor.undone for note in result.notes)
    return UndoResult(revision.id, undone, closed, notes)


def _refuse_what_stays(
    env: Environment, states: States, found: dict[BackendName, Entry]
) -> None:
    """Raise IntegrityError, changing nothing, if not all of it can be undone."""
    for name, entry in found.items():
        ways = _ways(env, name, entry)
        if ways.not_back is None or partner_decided(states, name, entry):
            continue
        on = f"Carry it on with: flask db-migrate {entry.direction} {target_of(entry)}"
        raise IntegrityError(
            f"The {entry.direction} of {entry.revision} cannot be undone: "
            f"{ways.not_back.rstrip('.')}",
            where=str(name.label),
            hint=on if ways.not_on is None else ways.not_on,
        )


def _open(states: States, revision: Revision) -> dict[BackendName, Entry]:
    """Return the open attempts at a revision; IntegrityError if there is none."""
    found = {
        name: entry
        for name, state in states.items()
        for entry in state.open_entries()
        if entry.revision == revision.id
    }
    if not found:
        raise IntegrityError(
            f"Nothing of revision {revision.id} is half done",
            hint="To undo an applied revision: flask db-migrate downgrade",
        )
    return found


def _losses(revision: Revision, found: dict[BackendName, Entry]) -> list[str]:
    return [
        f"{name.label}: what the {entry.direction} of {revision.id} did"
        for name, entry in found.items()
    ]


def _opposite(found: dict[BackendName, Entry]) -> Direction:
    """Return the direction of a run that undoes the attempts."""
    begun = next(iter(found.values())).direction
    return Direction.DOWNGRADE if begun is Direction.UPGRADE else Direction.UPGRADE


def _accept(env: Environment, revision: Revision) -> AcceptResult:
    env.run.check_servers()
    with env.run.locked():
        edited = [
            name
            for name, state in env.run.states().items()
            if revision.id in edited_ids(env.directory, name, state)
        ]
        if not edited:
            raise IntegrityError(
                f"No script of revision {revision.id} was edited after it was run",
                hint="See: flask db-migrate check",
            )
        for name in edited:
            env.backends[name].accept(revision)
    return AcceptResult(revision.id, tuple(edited))
