"""`current`, `status`, `history`, `heads`, `branches` and `show`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..environment import Environment
from ..revisions import BackendName
from ..run.plan import States, ahead, is_pair
from ..run.status import (
    OpenProgress,
    RevisionStatus,
    half_done,
    heads_of,
    make_status,
    pending,
)
from .history import (
    GraphResult,
    GraphRevision,
    list_branches,
    list_heads,
    list_history,
    place,
    single,
)


def current(env: Environment) -> CurrentResult:
    """Return the current revision of each side in use."""
    directory = env.directory
    states = env.run.states()
    beyond = ahead(directory, states)
    paired = is_pair(states)
    at_head = paired and not beyond and not pending(directory, states)
    return CurrentResult(
        heads_of(directory, states), at_head, half_done(states), beyond, paired
    )


def status(env: Environment) -> StatusResult:
    """Return the state of each revision on each side, in use or not."""
    states = env.run.states()
    columns = tuple(reversed(env.available))
    at_work = _at_work(env, states)
    progress = _open_progress(env, states, at_work)
    rows = make_status(env.directory, states, columns, progress, at_work)
    problems = (*env.directory.pair_problems(), *env.directory.lock_problems())
    waiting = len(pending(env.directory, states))
    beyond = ahead(env.directory, states)
    return StatusResult(rows, columns, waiting, problems, beyond, is_pair(states))


def _at_work(env: Environment, states: States) -> frozenset[BackendName]:
    """Return the sides that are being migrated; asked only if something is open."""
    return frozenset(
        name
        for name, state in states.items()
        if state.open_entries() and env.backends[name].is_at_work()
    )


def _open_progress(
    env: Environment, states: States, at_work: frozenset[BackendName]
) -> OpenProgress:
    """Return how far open attempts are, without a rate for stopped ones."""
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
    """List the revisions that have no successor."""
    return list_heads(env.directory)


def branches(env: Environment) -> GraphResult:
    """List the revisions that have several successors."""
    return list_branches(env.directory)


def show(env: Environment, identifier: str = "head") -> ShowResult:
    """Return everything known about one revision."""
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


@dataclasses.dataclass(frozen=True)
class CurrentResult:
    """The heads of each side in use, and whether they are the tree's.

    half_done: the open attempts, one line each. ahead: what the databases have and the
    tree lacks, one line each. paired: False if each was migrated with a different
    partner.
    """

    heads: Mapping[BackendName, tuple[str, ...]]
    at_head: bool
    half_done: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    paired: bool = True

    @property
    def ok(self) -> bool:
        return self.paired and not self.ahead


@dataclasses.dataclass(frozen=True)
class StatusResult:
    """All revisions, newest first, and how many wait on some side.

    problems: what is wrong with the tree, one line each, as `check` has them. ahead:
    what the databases have and the tree lacks, one line each: no row can show it.
    paired: as in CurrentResult.
    """

    rows: tuple[RevisionStatus, ...]
    backends: tuple[BackendName, ...]
    pending: int
    problems: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    paired: bool = True

    @property
    def ok(self) -> bool:
        return self.paired and not self.ahead


@dataclasses.dataclass(frozen=True)
class ShowResult:
    """One revision: its place, its files, and all attempts at it on each side."""

    revision: GraphRevision
    files: Mapping[BackendName, str]
    attempts: Mapping[BackendName, tuple[dict[str, Any], ...]]
