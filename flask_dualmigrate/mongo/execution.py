"""What is done under the lock: steps are run, undone and closed in the journal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from ..backend import Progress, State
from ..backend.holder import OnWait
from ..backend.journal import Undone
from ..errors import (
    DatabaseUnavailable,
    DualMigrateError,
    IntegrityError,
)
from ..revisions import BackendName, Direction, Revision, Status, Step
from ..runtime.events import since_ms, tell
from ..runtime.stopping import NEVER, Stop
from ..runtime.time_limits import DEFAULT, Limits
from ..tree.directory import ScriptDirectory
from ..tree.graph import RevisionGraph
from .data import MongoData
from .journal.journal import MongoJournal
from .journal.results import StepResult, notes_of
from .lock.lock import MongoLock
from .run.runner import OperationRunner
from .scripts.scripts import MongoScripts
from .server.errors import driver_errors
from .server.time_limit import takes_its_time
from .server.transactions import supports_transactions

log = logging.getLogger(__name__)

_MOST_STEPS = 100
_MOST_DOCUMENTS = 100_000
"""Steps, and documents that they wrote, after which their records are removed."""


class MongoExecution(MongoData):
    """Takes the lock of one database, and applies the Mongo scripts of a tree to it.

    db: the app's own `mongo.db`. lease_s: seconds the lock lives unrenewed.
    on_progress: called after each batch. batch_seconds, replication_lag_s: as in
    OperationRunner. limits: of the app and of the run. stop: checked between batches
    and operations.
    """

    name = BackendName.MONGO
    atomic = False

    def __init__(
        self,
        db: Database[Any] | None,
        load: Callable[[], ScriptDirectory],
        *,
        lease_s: float = 30.0,
        on_progress: Callable[[Progress], None] | None = None,
        batch_seconds: float = 0.5,
        replication_lag_s: float = 10.0,
        limits: Limits = DEFAULT,
        stop: Stop = NEVER,
    ) -> None:
        if db is None:
            raise DatabaseUnavailable(
                "The app uses MongoDB, but its PyMongo object has no database",
                hint="Call mongo.init_app(app) with a MONGO_URI that names a database.",
            )
        self._db = db
        self._scripts = MongoScripts(load, limits=limits, stop=stop)
        self._lock = MongoLock(db, lease_s=lease_s, keep_going=stop.require)
        self._journal = MongoJournal(db, token=lambda: self._lock.token)
        self._on_progress = on_progress
        self._batch_seconds = batch_seconds
        self._replication_lag_s = replication_lag_s
        self._stop = stop
        self._holding: OperationRunner | None = None
        self._settled: list[tuple[str, Direction]] = []
        self._documents = 0
        self._run_before: Collection[str] | None = None
        self._run_now: set[str] = set()
        self._hello: Mapping[str, Any] | None = None
        self._tried: str | None = None

    @property
    def db(self) -> Database[Any]:
        return self._db

    def require_lock(self) -> None:
        """Raise LockLost if the lock that `lock` took may have expired."""
        self._lock.require()

    def read(self, graph: RevisionGraph | None = None) -> State:
        if self._holding is not None:
            self._tidy()
        with driver_errors("read its journal"):
            entries = self._journal.entries()
            meta = self._journal.meta()
        self._run_before = entries.keys()
        return State(
            frozenset(key for key, entry in entries.items() if entry.applied),
            entries,
            meta.pair_id,
            restoring=meta.restoring,
            unused=meta.unused,
            lost=meta.has_history and not entries and meta.restoring is None,
        )

    @contextmanager
    def lock(self, *, timeout_s: float, on_wait: OnWait) -> Iterator[None]:
        with self._lock.held(timeout_s=timeout_s, on_wait=on_wait):
            self._holding = runner = self._new_runner()
            try:
                with runner.claiming_once():
                    try:
                        yield
                    except BaseException:
                        with suppress(DualMigrateError):
                            self._tidy()
                        raise
                    self._tidy()
            finally:
                self._holding = None
                # Without the lock the next run closes them.
                self._settled = []
                self._journal.drop_due()

    def set_pair_id(self, pair_id: str, *, anew: bool = False) -> None:
        self._lock.require()
        if anew:
            journal = self._journal
            self._runner().fenced(lambda session: journal.pair_anew(pair_id, session))
            return
        with driver_errors("write its journal"):
            self._journal.set_pair_id(pair_id)

    @cached_property
    def _has_transactions(self) -> bool:
        with driver_errors("be reached"):
            return supports_transactions(self._db, self._hello)

    @takes_its_time
    def execute(self, step: Step, *, partner: bool) -> None:
        """Run the operations, then verify(db), then record that the script is done."""
        revision_id, direction = step.revision.id, step.direction
        operations = self._scripts.operations(step)
        started = time.monotonic()
        self._lock.require()
        if any(revision_id == revision for revision, _ in self._settled):
            self._tidy()  # up, down and up again under one lock, as a proof does
        self._runner().claim()
        with driver_errors("write its journal"):
            self._journal.begin(
                step.revision,
                direction,
                checksum=self._scripts.checksum(step.revision),
            )
        limits = self._scripts.limits_of(step)
        result = self._runner().run(
            revision_id, direction, operations, max_time_s=limits.max_time_s
        )
        self._documents += sum(each.documents for each in result.steps)
        _tell_notes(step, result.steps)
        if direction is Direction.UPGRADE:
            self._scripts.verify(step.revision, self._db)
        self._lock.require()
        status = {
            Direction.UPGRADE: Status.APPLIED,
            Direction.DOWNGRADE: Status.ROLLED_BACK,
        }[direction]
        with driver_errors("write its journal"):
            self._journal.finish(
                revision_id,
                status,
                direction=direction,
                duration_ms=since_ms(started),
                awaits_partner=partner,
                notes=notes_of(result.steps),
            )

    def accept(self, revision: Revision) -> None:
        self._lock.require()
        checksum = self._scripts.checksum(revision)
        with driver_errors("write its journal"):
            self._journal.accept(revision.id, checksum)

    def keep(self, step: Step, error: str) -> None:
        with driver_errors("write its journal"):
            self._journal.finish(
                step.revision.id,
                Status.FAILED,
                direction=step.direction,
                partial=True,
                error=error,
            )

    @takes_its_time
    def revert(
        self, step: Step, error: str | None, *, by_script: bool = True
    ) -> Undone:
        """Undo the operations, newest first; record what could not be undone."""
        revision_id, direction = step.revision.id, step.direction
        operations = self._scripts.operations(step)
        self._lock.require()
        self._runner().claim()
        with driver_errors("write its journal"):
            self._journal.begin_undoing(revision_id, direction)
        self._run_now.add(revision_id)
        reverted = self._runner().revert(revision_id, direction, operations)
        stays = reverted.why
        if reverted.stuck is not None and reverted.stuck < len(operations):
            stuck = operations[reverted.stuck].describe()
            stays = f"step {reverted.stuck}, {stuck}: {stays}"
        undone = Undone(stays, notes_of(reverted.steps))
        with driver_errors("write its journal"):
            self._journal.undone(
                revision_id, direction, undone, error=error, by_script=by_script
            )
        return undone

    def settle(self, step: Step) -> None:
        """Close a step: with the next one that begins, or when the lock is released."""
        self._journal.settle(step.revision.id)
        self._settled.append((step.revision.id, step.direction))
        if len(self._settled) >= _MOST_STEPS or self._documents >= _MOST_DOCUMENTS:
            self._tidy()

    def _tidy(self) -> None:
        """Forget how the steps went that are complete, and close the last of them."""
        if not self._settled:
            return
        try:
            self._lock.require()
            self._runner().settle(*self._settled)
            with driver_errors("write its journal"):
                self._journal.flush()
        except DualMigrateError as error:
            error.add_note("The steps before it are done; the next run closes them.")
            raise
        self._run_now |= {revision for revision, _ in self._settled}
        self._settled, self._documents = [], 0

    def stamp(self, revisions: Sequence[Revision]) -> None:
        marks = {
            revision.id: (revision, self._scripts.checksum(revision))
            for revision in revisions
        }
        self._lock.require()
        runner = self._runner()
        for entry in self.read().open_entries():
            # A later run would take its records for work that is done.
            runner.settle((entry.revision, entry.direction))
        self._lock.require()

        def write(session: ClientSession) -> None:
            self._journal.stamp(marks, session)
            runner.stamp([*marks], session)

        runner.fenced(write)

    def decide(self, revision_id: str, step: int, *, done: bool) -> None:
        """Settle a step in doubt: it did its work, or must be called again.

        Raises IntegrityError if that step of the revision was not left begun by a
        crash.
        """
        entry = self.read().entries.get(revision_id)
        if entry is None or not entry.open:
            raise IntegrityError(
                f"Revision {revision_id} is not half done on MongoDB",
                hint="See `flask db-migrate status`.",
            )
        self._runner().decide(revision_id, entry.direction, step, done=done)

    def _runner(self) -> OperationRunner:
        """Return what runs operations: one for as long as the lock is held."""
        return self._holding or self._new_runner()

    def _new_runner(self, *, connects: bool = True) -> OperationRunner:
        """connects: False if there may be no server."""
        return OperationRunner(
            self._db,
            app_db=self._db,
            token=self._lock.token,
            on_progress=self._on_progress,
            keep_going=self._keep_going,
            stop=self._stop,
            was_run=self._was_run,
            transactions=not connects or self._has_transactions,
            batch_seconds=self._batch_seconds,
            replication_lag_s=self._replication_lag_s,
            binding=self._lock.binding,
        )

    def _was_run(self, revision: str) -> bool:
        """Return whether a revision was run before; True if that is not known."""
        before = self._run_before
        return before is None or revision in before or revision in self._run_now

    def _keep_going(self) -> None:
        self._lock.require()
        self._stop.require()


def _tell_notes(step: Step, results: Sequence[StepResult]) -> None:
    """Log what a person must know about a run, such as what was not put back."""
    for result in results:
        for note in result.notes:
            tell(
                log,
                "note",
                f"{step.revision.id}, step {result.step} ({result.verb}): {note}",
                level=logging.WARNING,
                revision=step.revision.id,
                backend=BackendName.MONGO,
                step=result.step,
                operation=result.verb,
            )
