"""Two sides in memory that keep the promises of the Backend protocol.

They rehearse the executor: the order of its calls, and what a crash between any two of
them leaves. What a real server does is for the integration tests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from flask_dualmigrate.backend import (
    Doubt,
    Dropped,
    Dumped,
    Extent,
    FieldFacts,
    Loss,
    PlannedStep,
    Progress,
    State,
    Ways,
)
from flask_dualmigrate.backend.holder import Holder
from flask_dualmigrate.backend.journal import Entry, Undone
from flask_dualmigrate.backend.restorer import Kept, Restorer
from flask_dualmigrate.backups import BackupFolder, Manifest, Scope
from flask_dualmigrate.revisions import BackendName, Direction, Revision, Status, Step
from flask_dualmigrate.tree.graph import RevisionGraph

UP, DOWN = Direction.UPGRADE, Direction.DOWNGRADE
OPERATIONS = 2  # of each revision, on the side that is not atomic


class Killed(BaseException):
    """Stands for kill -9: nothing may handle it."""


@dataclasses.dataclass
class Calls:
    """Counts the calls that change a store, and dies or fails at one of them.

    Each call counts twice: before its change, and after it.
    """

    kill_at: int | None = None
    fail_at: Mapping[str, Exception] = dataclasses.field(default_factory=dict)
    count: int = 0
    log: list[str] = dataclasses.field(default_factory=list)
    blamed: list[bool] = dataclasses.field(default_factory=list)

    def change(self, name: str, change: Callable[[], object]) -> None:
        self._tick()
        if name in self.fail_at:
            raise self.fail_at[name]
        change()
        self.log.append(name)
        self._tick()

    def _tick(self) -> None:
        self.count += 1
        if self.count - 1 == self.kill_at:
            raise Killed


@dataclasses.dataclass
class Store:
    """What one database holds: it survives the process.

    data: one text for each operation that was done, twice if it was done twice.
    done: the operations of the attempt that is open.
    """

    data: list[str] = dataclasses.field(default_factory=list)
    entries: dict[str, Entry] = dataclasses.field(default_factory=dict)
    done: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    pair_id: str | None = None

    def close(self, step: Step, status: Status, **more: Any) -> None:
        """Write how an attempt ended."""
        self.entries[step.revision.id] = Entry(
            step.revision.id, step.direction, status, **more
        )


class FakeSide:
    """What both sides have in common."""

    name: BackendName
    atomic: bool

    def __init__(self, store: Store, calls: Calls) -> None:
        self.store = store
        self.calls = calls
        self.held = False

    def place(self) -> str:
        raise NotImplementedError

    def why_absent(self, timeout_s: float) -> str | None:
        raise NotImplementedError

    def check(self) -> None:
        pass

    def read(self, graph: RevisionGraph | None = None) -> State:
        entries = dict(self.store.entries)
        applied = frozenset(key for key, entry in entries.items() if entry.applied)
        return State(applied, entries, self.store.pair_id)

    @contextmanager
    def lock(
        self, *, timeout_s: float, on_wait: Callable[[Holder | None], None]
    ) -> Iterator[None]:
        self.held = True
        yield
        self.held = False

    def holder(self) -> Holder | None:
        return None

    def outwatch(self, holder: Holder) -> bool:
        return False

    def free(self, holder: Holder) -> bool:
        raise AssertionError("the executor frees no lock of another run")

    def restorer(
        self, folder: BackupFolder, manifest: Manifest, *, partner: bool
    ) -> Restorer:
        raise AssertionError("the executor restores nothing")

    def finish_restore(self, mark: str) -> tuple[Kept, ...]:
        raise AssertionError("the executor restores nothing")

    def keep(self, step: Step, error: str) -> None:
        partial = not self.atomic
        self._change(
            "keep", lambda: self.store.close(step, Status.FAILED, partial=partial)
        )

    def doubts(self, entry: Entry) -> tuple[Doubt, ...]:
        return ()

    def ways(self, step: Step) -> Ways:
        raise AssertionError("the executor does what it is told")

    def accept(self, revision: Revision) -> None:
        raise AssertionError("the executor accepts nothing")

    def verify(self, revision: Revision) -> bool:
        raise AssertionError("the executor verifies by way of execute")

    def prepare(self) -> None:
        pass

    def set_pair_id(self, pair_id: str, *, anew: bool = False) -> None:
        self._change("pair", lambda: setattr(self.store, "pair_id", pair_id))

    def preflight(self, steps: Sequence[Step]) -> None:
        pass

    def check_rights(self, steps: Sequence[Step]) -> None:
        pass

    def plan(self, steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
        return tuple(PlannedStep(self.name, ()) for _ in steps)

    def script(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        raise AssertionError("the executor prints no script")

    def dropped_by_upgrade(self, step: Step) -> tuple[Dropped, ...]:
        return ()

    def removes(self, step: Step) -> bool:
        return False

    def count(
        self, names: Collection[str] | None = None, *, limit: int = 0
    ) -> dict[str, int]:
        return {}

    def facts(self, name: str, fields: Sequence[str]) -> dict[str, FieldFacts]:
        return {}

    def values(
        self, name: str, key: str, fields: Sequence[str], *, only: Sequence[Any] | int
    ) -> list[dict[str, Any]]:
        return []

    def destructive(self, step: Step) -> tuple[Loss, ...]:
        return ()

    def stamp(self, revisions: Sequence[Revision]) -> None:
        raise AssertionError("the executor stamps nothing")

    def is_at_work(self) -> bool:
        return False

    def progress(self, entry: Entry) -> Progress | None:
        return None

    def history(self, revision_id: str) -> tuple[dict[str, Any], ...]:
        return ()

    def _change(self, name: str, change: Callable[[], object]) -> None:
        assert self.held
        self.calls.change(f"{self.name}.{name}", change)

    def extent(self, steps: Sequence[Step], scope: Scope) -> Extent:
        return Extent(self.name, scope, ())

    def require_dump(self) -> None:
        """It has nothing to dump."""

    def dump(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        raise NotImplementedError


class FakeMongo(FakeSide):
    """Works operation by operation, each with its marker; keeps an undo log."""

    name = BackendName.MONGO
    atomic = False
    cannot_undo: str | None = None
    noted: tuple[str, ...] = ()

    def execute(self, step: Step, *, partner: bool) -> None:
        key = step.revision.id
        self._change(f"begin {key}", lambda: self.store.close(step, Status.RUNNING))
        for number in self._order(step):
            if number not in self.store.done.get(key, []):
                self._change(f"{key}.{number}", self._operation(step, number))
        self._change(f"verify {key}", lambda: None)
        done = Status.APPLIED if step.direction is UP else Status.ROLLED_BACK
        self._change(
            f"finish {key}",
            lambda: self.store.close(step, done, awaits_partner=partner),
        )

    def revert(
        self, step: Step, error: str | None, *, by_script: bool = True
    ) -> Undone:
        self.calls.blamed.append(by_script)
        key = step.revision.id
        self._change(
            f"undoing {key}",
            lambda: self.store.close(step, Status.RUNNING, undoing=True),
        )
        for number in list(reversed(self.store.done.get(key, []))):
            if f"{key}.{number}" == self.cannot_undo:
                self._change(
                    f"stuck {key}",
                    lambda: self.store.close(step, Status.FAILED, partial=True),
                )
                return Undone(f"{key}.{number} has no undo")
            self._change(f"undo {key}.{number}", self._undo(step, number))
        self._change(f"undone {key}", lambda: self._close_undone(step))
        return Undone(notes=self.noted)

    def settle(self, step: Step) -> None:
        def close() -> None:
            entry = self.store.entries[step.revision.id]
            closed = dataclasses.replace(entry, awaits_partner=False)
            self.store.entries[entry.revision] = closed
            self.store.done.pop(entry.revision, None)

        self._change(f"settle {step.revision.id}", close)

    def _order(self, step: Step) -> list[int]:
        return list(range(OPERATIONS))[:: 1 if step.direction is UP else -1]

    def _operation(self, step: Step, number: int) -> Callable[[], None]:
        key = step.revision.id

        def change() -> None:
            _write(self.store.data, f"{key}.{number}", step.direction)
            self.store.done.setdefault(key, []).append(number)

        return change

    def _undo(self, step: Step, number: int) -> Callable[[], None]:
        key = step.revision.id

        def change() -> None:
            back = DOWN if step.direction is UP else UP
            _write(self.store.data, f"{key}.{number}", back)
            self.store.done[key].remove(number)

        return change

    def _close_undone(self, step: Step) -> None:
        if step.direction is UP:
            self.store.close(step, Status.FAILED)
        else:
            self.store.entries[step.revision.id] = Entry(
                step.revision.id, UP, Status.APPLIED
            )


class FakePostgres(FakeSide):
    """Works in one transaction, whose commit decides."""

    name = BackendName.POSTGRES
    atomic = True
    unknown_after_commit = False

    def execute(self, step: Step, *, partner: bool) -> None:
        key = step.revision.id

        def commit() -> None:
            done = Status.APPLIED if step.direction is UP else Status.ROLLED_BACK
            _write(self.store.data, key, step.direction)
            self.store.close(step, done)

        self._change(f"statements {key}", lambda: None)
        self._change(f"commit {key}", commit)
        if self.unknown_after_commit:
            self._change(f"unknown {key}", lambda: None)

    def revert(
        self, step: Step, error: str | None, *, by_script: bool = True
    ) -> Undone:
        self.calls.blamed.append(by_script)
        if step.direction is UP:
            self._change(
                f"failed {step.revision.id}",
                lambda: self.store.close(step, Status.FAILED),
            )
        return Undone()

    def settle(self, step: Step) -> None:
        """Nothing is left open after the commit."""


def _write(data: list[str], text: str, direction: Direction) -> None:
    if direction is UP:
        data.append(text)
    else:
        data.remove(text)
