"""The MongoDB side of a run: it cannot decide atomically, so it keeps an undo log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from alembic.script.base import Script
from pymongo.database import Database

from ..backend import PlannedStep, Progress, State
from ..errors import (
    DatabaseUnavailable,
    DualMigrateError,
    IntegrityError,
    ScriptError,
    TreeError,
)
from ..graph import RevisionGraph
from ..ops import MongoOperations, Operation, Todo
from ..revision import BackendName, Direction, Revision, Status, Step
from ..script import ScriptDirectory
from .errors import driver_errors
from .forecast import Rehearsal
from .journal import MongoJournal
from .lock import MongoLock
from .mongosh import MongoshScript
from .runner import OperationRunner
from .steps import StepStatus
from .transactions import supports_transactions

_MARKS = {
    StepStatus.DONE: " - done already",
    StepStatus.STARTED: " - begun, is carried on",
}


class MongoBackend:
    """Applies the Mongo scripts of a tree to one database.

    db: the app's own `mongo.db`. lease_s: seconds the lock lives unrenewed.
    on_progress: told after each batch.
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
    ) -> None:
        if db is None:
            raise DatabaseUnavailable(
                "The app uses MongoDB, and its PyMongo object has no database",
                hint="Call mongo.init_app(app) with a MONGO_URI that names a database.",
            )
        self._db = db
        self._load = load
        self._journal = MongoJournal(db)
        self._lock = MongoLock(db, lease_s=lease_s)
        self._on_progress = on_progress

    @property
    def _directory(self) -> ScriptDirectory:
        return self._load()

    def check(self) -> None:
        with driver_errors("be reached"):
            hello = self._db.client.admin.command("hello")
        if not hello.get("isWritablePrimary"):
            raise DatabaseUnavailable(
                "This MongoDB server is no primary: it takes no writes",
                hint="Name the replica set in MONGO_URI (?replicaSet=…), so that the "
                "driver finds the primary.",
            )

    def read(self, graph: RevisionGraph | None = None) -> State:
        with driver_errors("read its journal"):
            entries = self._journal.entries()
            pair_id = self._journal.pair_id()
        applied = frozenset(key for key, entry in entries.items() if entry.applied)
        return State(applied, entries, pair_id)

    def lock(
        self, *, timeout_s: float, on_wait: Callable[[str], None]
    ) -> AbstractContextManager[None]:
        return self._lock.held(timeout_s=timeout_s, on_wait=on_wait)

    def prepare(self) -> None:
        """Nothing to make: MongoDB creates the journal with its first document."""

    def set_pair_id(self, pair_id: str) -> None:
        with driver_errors("write its journal"):
            self._journal.set_pair_id(pair_id)

    def preflight(self, steps: Sequence[Step]) -> None:
        operations = [
            (step, operation) for step in steps for operation in self._operations(step)
        ]
        for step, operation in operations:
            self._refuse_todo(step, operation)
        if operations and not supports_transactions(self._db):
            raise DatabaseUnavailable(
                "The journal of operations needs transactions, and this MongoDB is a "
                "standalone server",
                hint="Start it as a replica set (one member is enough).",
            )

    def _refuse_todo(self, step: Step, operation: Operation) -> None:
        if isinstance(operation, Todo):
            raise TreeError(
                f"Revision {step.revision.id} has a todo left: {operation.text}",
                where=self._script(step.revision).path,
                hint=f"Write it with: flask db-migrate edit {step.revision.id}",
            )

    def plan(self, steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
        runner = self._runner()
        with driver_errors("be looked at"), self._db.client.start_session() as session:
            rehearsal = Rehearsal(runner, session)
            return tuple(self._plan(step, runner, rehearsal) for step in steps)

    def _plan(
        self, step: Step, runner: OperationRunner, rehearsal: Rehearsal
    ) -> PlannedStep:
        revision_id, direction = step.revision.id, step.direction
        found = runner.records(revision_id, direction)
        records = {record.step: record for record in found}
        operations = self._operations(step)
        forecasts = rehearsal.foretell(revision_id, direction, operations, records)
        marks = {
            number: _MARKS.get(each.status, "") for number, each in records.items()
        }
        lines = (
            f"{operation.describe()}{marks.get(number, '')}"
            for number, operation in enumerate(operations)
        )
        return PlannedStep(self.name, tuple(lines), forecasts)

    def script(self, steps: Sequence[Step], applied: Sequence[str]) -> str:
        for step in steps:
            for operation in self._operations(step):
                self._refuse_todo(step, operation)
        client = self._db.client
        with client.start_session(causal_consistency=False) as session:
            return MongoshScript(
                self._runner(),
                session,
                operations_of=self._operations,
                checksum_of=lambda step: self._directory.checksum(
                    self.name, step.revision.id
                ),
                verified=lambda step: hasattr(
                    self._script(step.revision).module, "verify"
                ),
            ).text(steps, applied, database=self._db.name)

    def destructive(self, step: Step) -> tuple[str, ...]:
        operations = self._operations(step)
        return tuple(op.describe() for op in operations if op.destructive)

    def execute(self, step: Step, *, partner: bool) -> None:
        """Run the operations, then verify(db), then write that it is done."""
        revision_id, direction = step.revision.id, step.direction
        operations = self._operations(step)
        started = time.monotonic()
        with driver_errors("write its journal"):
            self._journal.begin(
                step.revision,
                direction,
                checksum=self._directory.checksum(self.name, revision_id),
            )
        self._runner().run(revision_id, direction, operations)
        if direction is Direction.UPGRADE:
            self._verify(step)
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
                duration_ms=int((time.monotonic() - started) * 1000),
                awaits_partner=partner,
            )

    def _verify(self, step: Step) -> None:
        script = self._script(step.revision)
        verify = getattr(script.module, "verify", None)
        if verify is None:
            return
        try:
            verify(self._db)
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise ScriptError(
                f"verify(db) of revision {step.revision.id} failed: {reason}",
                where=script.path,
            ) from error

    def revert(self, step: Step, error: str | None) -> str | None:
        """Undo the operations newest first; return None, or why some stay done."""
        revision_id, direction = step.revision.id, step.direction
        reverted = self._runner().revert(revision_id, direction, self._operations(step))
        with driver_errors("write its journal"):
            if reverted.stuck is not None:
                self._journal.finish(
                    revision_id,
                    Status.FAILED,
                    direction=direction,
                    partial=True,
                    error=error,
                )
            elif direction is Direction.UPGRADE:
                self._journal.finish(
                    revision_id,
                    Status.FAILED if error else Status.ROLLED_BACK,
                    direction=direction,
                    error=error,
                )
            else:
                self._journal.restore_applied(revision_id, error=error)
        return reverted.why

    def settle(self, step: Step) -> None:
        self._runner().settle(step.revision.id, step.direction)
        with driver_errors("write its journal"):
            self._journal.settle(step.revision.id)

    def stamp(self, revisions: Sequence[Revision]) -> None:
        marks = {
            revision.id: (revision, self._directory.checksum(self.name, revision.id))
            for revision in revisions
        }
        for entry in self.read().open_entries():
            # Its records would be taken for work that is done, by a later run.
            self._runner().settle(entry.revision, entry.direction)
        with driver_errors("write its journal"):
            self._journal.stamp(marks)

    def decide(self, revision_id: str, step: int, *, done: bool) -> None:
        """Settle a step in doubt: it did its work, or is to be called again.

        Raises IntegrityError if no crash left that step of the revision begun.
        """
        entry = self.read().entries.get(revision_id)
        if entry is None or not entry.open:
            raise IntegrityError(
                f"Nothing of revision {revision_id} is half done on MongoDB",
                hint="See `flask db-migrate status`.",
            )
        self._runner().decide(revision_id, entry.direction, step, done=done)

    def history(self, revision_id: str) -> tuple[dict[str, Any], ...]:
        """Return all attempts at a revision, oldest first."""
        with driver_errors("read its journal"):
            return self._journal.history(revision_id)

    def _runner(self) -> OperationRunner:
        return OperationRunner(
            self._db,
            app_db=self._db,
            token=self._lock.token,
            on_progress=self._on_progress,
            keep_going=self._lock.require,
        )

    def _script(self, revision: Revision) -> Script:
        return self._directory.script(self.name, revision.id)

    def _operations(self, step: Step) -> tuple[Operation, ...]:
        return record(self._script(step.revision), step.direction)


def record(script: Script, direction: Direction) -> tuple[Operation, ...]:
    """Return what a Mongo script's upgrade(op) or downgrade(op) says.

    Raises TreeError if it has no such function, ScriptError if that raises.
    """
    function = getattr(script.module, direction, None)
    if function is None:
        raise TreeError(
            f"Revision {script.revision} has no {direction}() function, "
            "so it cannot be taken back",
            where=script.path,
        )
    recorder = MongoOperations()
    try:
        function(recorder)
    except DualMigrateError as error:
        raise ScriptError(
            f"{direction}(op) of revision {script.revision} is wrong: {error.what}",
            where=script.path,
        ) from error
    except Exception as error:
        raise ScriptError(
            f"{direction}(op) of revision {script.revision} failed: "
            f"{type(error).__name__}: {error}",
            where=script.path,
        ) from error
    return recorder.operations
