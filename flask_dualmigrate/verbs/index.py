"""The `index` verbs: list, diff, sync, drop, rebuild. Nothing is printed here."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from ..environment import Environment
from ..errors import IntegrityError, ModelsError, OperationError, UsageError
from ..indexes import BuildProgress, Difference, IndexSide, OnBuild, Remedy, Verdict
from ..indexes.values import FoundIndex
from ..revisions import BackendName
from ..run.options import Confirm
from ..run.plan import require_known
from ..run.status import pending

_NO_FAULT = (Verdict.OK, Verdict.NOT_COMPARED)
"""What could not be compared is reported, and is not a difference."""


@dataclasses.dataclass(frozen=True)
class IndexListResult:
    """What `index list` found. notes: what could not be listed, one line each."""

    indexes: tuple[FoundIndex, ...]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class IndexDiffResult:
    """What `index diff` found: a difference for each index, also if it matches."""

    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(item.verdict in _NO_FAULT for item in self.differences)


@dataclasses.dataclass(frozen=True)
class SyncAction:
    """One thing that `index sync` did, or with --dry-run would do."""

    backend: BackendName
    place: str
    name: str
    action: Remedy
    text: str


@dataclasses.dataclass(frozen=True)
class IndexSyncResult:
    """What `index sync` did, and what still differs.

    dry_run: nothing was touched. remaining: what is not as declared; this includes
    undeclared indexes that no one asked to drop, and those that could not be compared;
    neither counts as a fault.
    """

    actions: tuple[SyncAction, ...]
    remaining: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        no_fault = (*_NO_FAULT, Verdict.UNDECLARED)
        return self.dry_run or all(item.verdict in no_fault for item in self.remaining)


@dataclasses.dataclass(frozen=True)
class IndexDropResult:
    """What `index drop` dropped."""

    backend: BackendName
    place: str
    name: str


@dataclasses.dataclass(frozen=True)
class IndexRebuildResult:
    """What `index rebuild` rebuilt, and how long it took."""

    backend: BackendName
    place: str
    name: str
    duration_ms: int


Answer = TypeVar("Answer")

_ORDER = (Remedy.CREATE, Remedy.MODIFY, Remedy.REPLACE, Remedy.DROP)
"""Missing indexes come first, drops last."""


def _silent(progress: BuildProgress) -> None:
    pass


def list_indexes(env: Environment, place: str | None = None) -> IndexListResult:
    """List the indexes of one collection or table, or of all, on the sides in use."""
    listings = _having(env.index_sides, lambda side: side.read(place))
    return IndexListResult(
        tuple(index for listing in listings for index in listing.indexes),
        tuple(note for listing in listings for note in listing.notes),
    )


def diff_indexes(env: Environment, place: str | None = None) -> IndexDiffResult:
    """Compare the declared indexes with the existing ones.

    Raises IntegrityError if a database is ahead of this code: what another branch
    created would be called undeclared.
    """
    if env.config.directory.is_dir():  # indexes can be compared without one
        require_known(env.directory, env.run.states())
    return _diff(env.index_sides, place)


def sync_indexes(
    env: Environment,
    place: str | None = None,
    *,
    drop_undeclared: bool = False,
    dry_run: bool = False,
    confirm: Confirm | None = None,
    on_build: OnBuild = _silent,
) -> IndexSyncResult:
    """Make the existing indexes match the declared ones.

    drop_undeclared: also drop those that nothing declares, even if only that allows a
    declared one to be fixed. confirm: asked before any index is dropped or replaced.
    Raises IntegrityError if revisions are pending: they may create or drop indexes.
    """
    sides = env.index_sides
    env.run.check_servers()
    _refuse_pending(env)
    foreseen = _diff(sides, place)
    planned = _planned(foreseen.differences, drop_undeclared)
    losses = [item for item in planned if _loses(item)]
    if dry_run:
        remaining = _remaining(foreseen.differences)
        done = tuple(action for item in planned for action in _actions(item))
        return IndexSyncResult(done, remaining, foreseen.notes, dry_run=True)
    if confirm is not None and losses:
        confirm([action.text for item in losses for action in _actions(item)])
    agreed = {key for item in losses for key in _keys(item)}
    with env.run.locked(), env.stop.at_once():
        done = _sync(sides, place, drop_undeclared, agreed, on_build)
        left = _diff(sides, place)
    return IndexSyncResult(done, _remaining(left.differences), left.notes)


def _sync(
    sides: Sequence[IndexSide],
    place: str | None,
    drop_undeclared: bool,
    agreed: set[tuple[BackendName, str, str]],
    on_build: OnBuild,
) -> tuple[SyncAction, ...]:
    """Wait for running builds, compare again, and act; no loss without consent."""
    by_name = {side.name: side for side in sides}
    for item in _diff(sides, place).differences:
        if item.verdict is Verdict.BUILDING:
            by_name[item.backend].wait(item, on_build)
    done: list[SyncAction] = []
    failed: list[OperationError] = []
    for item in _planned(_diff(sides, place).differences, drop_undeclared):
        if _loses(item) and not agreed.issuperset(_keys(item)):
            continue
        try:
            if item.remedy is Remedy.DROP:
                by_name[item.backend].drop(item.place, item.name)
            else:
                by_name[item.backend].fix(item, on_build)
        except OperationError as error:
            failed.append(error)  # the others can still be fixed
        else:
            done += _actions(item)
    if failed:
        raise _partial_failure(failed, done)
    return tuple(done)


def _partial_failure(
    failed: Sequence[OperationError], done: Sequence[SyncAction]
) -> OperationError:
    """Return the first error, with notes of the others and of what was done."""
    first, *others = failed
    for other in others:
        first.add_note(f"Error: {other}")
    for action in done:
        first.add_note(f"Done: {action.text} ({action.backend.label})")
    return first


def drop_index(
    env: Environment,
    place: str,
    name: str,
    *,
    hidden_for_s: float = 0.0,
    confirm: Confirm | None = None,
) -> IndexDropResult:
    """Drop an index; on MongoDB, hide it first, for `hidden_for_s`."""
    side, words = _side_of(env, place, name)
    if confirm is not None:
        confirm([words])
    env.run.check_servers()
    with env.run.locked(), env.stop.at_once():
        side.drop(place, name, hidden_for_s=hidden_for_s)
    return IndexDropResult(side.name, place, name)


def rebuild_index(
    env: Environment, place: str, name: str, *, on_build: OnBuild = _silent
) -> IndexRebuildResult:
    """Rebuild an index without ever being without it."""
    side, _ = _side_of(env, place, name, to_drop=False)
    env.run.check_servers()
    started = time.monotonic()
    with env.run.locked(), env.stop.at_once():
        side.rebuild(place, name, on_build)
    took_ms = int((time.monotonic() - started) * 1000)
    return IndexRebuildResult(side.name, place, name, took_ms)


def _having(
    sides: Sequence[IndexSide], ask: Callable[[IndexSide], Answer]
) -> list[Answer]:
    """Return the answers, at least one, of the sides that have the index or collection.

    Raises the UsageError of the first side if none has it.
    """
    answers: list[Answer] = []
    missing: list[UsageError] = []
    for side in sides:
        try:
            answers.append(ask(side))
        except ModelsError:
            raise  # of no side: what it declares is not known
        except UsageError as error:
            missing.append(error)
    if not answers and missing:
        raise missing[0]
    return answers


def _side_of(
    env: Environment, place: str, name: str, *, to_drop: bool = True
) -> tuple[IndexSide, str]:
    """Return the one side that has an index, and the index in words."""

    def ask(side: IndexSide) -> tuple[IndexSide, str]:
        return side, side.require(place, name, to_drop=to_drop)

    having = _having(env.index_sides, ask)
    if len(having) > 1:
        raise UsageError(
            f"Both databases have an index {name} on {place}",
            hint="Choose one: --backend postgres or --backend mongo.",
        )
    return having[0]


def _refuse_pending(env: Environment) -> None:
    states = env.run.states()
    require_known(env.directory, states)
    waiting = pending(env.directory, states)
    if waiting:
        ids = ", ".join(revision.id for revision in waiting)
        raise IntegrityError(
            f"Pending revisions may create or drop indexes: {ids}",
            hint="First run: flask db-migrate upgrade",
        )


def _diff(sides: Sequence[IndexSide], place: str | None) -> IndexDiffResult:
    answers = _having(sides, lambda side: side.diff(place))
    every = [item for differences, _ in answers for item in differences]
    return IndexDiffResult(
        tuple(_left_with(item, every) for item in every),
        tuple(note for _, notes in answers for note in notes),
    )


def _left_with(item: Difference, every: Sequence[Difference]) -> Difference:
    """Keep the counterpart of an index that was not compared as it is, too.

    Changing only one could make the two differ.
    """
    if item.declared is None or item.remedy not in (Remedy.MODIFY, Remedy.REPLACE):
        return item
    sources = {
        f"the models ({other.place})"
        for other in every
        if other.verdict is Verdict.NOT_COMPARED and other.name == item.name
    }
    if item.backend is not BackendName.MONGO or sources.isdisjoint(
        item.declared.sources
    ):
        return item
    why = (
        f"{item.why}; it stays, because PostgreSQL's {item.name} could not be compared"
    )
    return replace(item, remedy=Remedy.NONE, why=why, changes={}, also=())


def _planned(
    differences: Iterable[Difference], drop_undeclared: bool
) -> list[Difference]:
    """Return what to do, in order; indexes that another change removes are left to it.

    Without drop_undeclared nothing undeclared is dropped, nor what would drop it too.
    """
    wanted = [
        item
        for item in differences
        if item.remedy in _ORDER
        and (drop_undeclared or (item.remedy is not Remedy.DROP and not item.also))
    ]
    taken = {key for item in wanted for key in _keys(item)[1:]}
    left = (item for item in wanted if _keys(item)[0] not in taken)
    return sorted(left, key=lambda item: _ORDER.index(item.remedy))


def _remaining(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    return tuple(item for item in differences if item.verdict is not Verdict.OK)


def _loses(item: Difference) -> bool:
    return item.remedy in (Remedy.REPLACE, Remedy.DROP)


def _keys(item: Difference) -> list[tuple[BackendName, str, str]]:
    """Return which index a difference is about, and those dropped with it."""
    return [(item.backend, item.place, name) for name in (item.name, *item.also)]


def _actions(item: Difference) -> list[SyncAction]:
    """Return the action for it, and a drop for each index dropped with it."""
    own, *others = _keys(item)
    drops = (
        SyncAction(
            *(backend, place, name), Remedy.DROP, f"{Remedy.DROP} {place}.{name}"
        )
        for backend, place, name in others
    )
    return [SyncAction(*own, item.remedy, _words(item)), *drops]


def _words(item: Difference) -> str:
    place = f"{item.place}.{item.name}"
    match item.remedy:
        case Remedy.MODIFY:
            return f"change {place} ({item.why})"
        case Remedy.REPLACE if item.found and item.found.name != item.name:
            return f"replace {item.place}.{item.found.name} with {item.name}"
        case Remedy.REPLACE:
            return f"rebuild {place} as declared ({item.why})"
    return f"{item.remedy} {place}"
