"""Applying and undoing the operations of one Mongo script, step by step.

Each step has a record, written before its work; a run that was stopped anywhere is
continued by the next one, or undone by `revert`.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from ...backend import Progress
from ...errors import IntegrityError, OperationError, StepInDoubt
from ...ops import Kind, Operation, Todo
from ...revisions import BackendName, Direction
from ...runtime.crashpoints import reached
from ...runtime.events import since_ms, tell
from ...runtime.stopping import NEVER, Stop
from ..asides.aside import Asides
from ..batches.known import KnownCollections
from ..batches.step_under_way import Bench, Work
from ..journal.left_alone import Staying
from ..journal.results import Reverted, RunResult, StepResult
from ..journal.resume import (
    doubt,
    groups_of,
    in_doubt,
    is_begun,
    may_be_decided,
    operation_of,
    refuse_changed,
    where_of,
)
from ..journal.step_record import StepRecord, StepStatus
from ..journal.steps import StepStore
from ..journal.written_documents import Touched
from ..operations.registry import HANDLERS
from ..server.errors import driver_errors
from ..server.failures import told_as_operation_errors
from ..server.replication import Replication
from ..server.views import exact_view
from .claim import Claim
from .drafts import Place, carry_on, draft_of, inserting_after

__all__ = ["OperationRunner", "Reverted", "RunResult", "StepResult"]


log = logging.getLogger(__name__)


class OperationRunner:
    """Runs operations on one database.

    db: any view of it. app_db: what functions of the script get; by default `db`.
    token: the fencing token of the lock's holder. on_progress: called after each batch.
    keep_going: called between batches; raises when the run must stop. batch_seconds:
    how long a batch may take, 0: batches keep their size. replication_lag_s: how far
    behind the secondaries may be, 0: no waiting. transactions: False on a standalone
    server. stop: interrupts what may be interrupted. was_run: see Asides. binding:
    see Bench.
    """

    def __init__(
        self,
        db: Database[Any],
        *,
        app_db: Database[Any] | None = None,
        token: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
        keep_going: Callable[[], None] | None = None,
        batch_seconds: float = 0.5,
        replication_lag_s: float = 10.0,
        transactions: bool = True,
        stop: Stop = NEVER,
        was_run: Callable[[str], bool] = lambda _: True,
        binding: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        app_db = db if app_db is None else app_db
        # The app's client: another client's session could not include op.run's work.
        view = exact_view(app_db.client.get_database(db.name))
        self._token = token
        self._bench = Bench(
            db=view,
            app_db=app_db,
            store=StepStore(view, token=token, transactions=transactions),
            asides=Asides(view, was_run=was_run),
            touched=Touched(view, transactions=transactions),
            staying=Staying(view),
            replication=Replication(view, bound_s=replication_lag_s),
            known=KnownCollections(view),
            keep_going=keep_going or (lambda: None),
            on_progress=on_progress or (lambda progress: None),
            batch_seconds=batch_seconds,
            transactions=transactions,
            stop=stop,
            binding=binding,
        )
        self._claim = Claim(self._bench)

    def run(
        self,
        revision: str,
        direction: Direction,
        operations: Sequence[Operation],
        *,
        max_time_s: float = 0.0,
    ) -> RunResult:
        """Apply the operations that are not done yet.

        max_time_s: how long a batch, or another command, may take; 0: no limit.
        Raises OperationError for an operation that failed; IntegrityError if one that
        was done or begun has changed since, or is in doubt.
        """
        self._refuse_unrunnable(revision, operations)
        results = []
        with (
            self._limited_to(max_time_s),
            self._claim.made() as session,
            self._claim.flushed(session),
        ):
            found = self._gathered(revision, direction, session)
            records = {record.step: record for record in found}
            refuse_changed(records, operations)
            groups = groups_of(records, operations)
            if direction is Direction.UPGRADE and not is_begun(found):
                self._bench.asides.supersede(revision)
            for step, operation in enumerate(operations):
                self._bench.keep_going()
                draft = draft_of(
                    Place(revision, direction, step),
                    operation,
                    token=self._token,
                    group=groups[step],
                    again=bool(records),
                    later=inserting_after(step, operations, groups),
                )
                record = records.get(step)
                reached("mongo.operation.start")
                results.append(self._run_step(operation, draft, record, session))
        return RunResult(tuple(results))

    def revert(
        self,
        revision: str,
        direction: Direction,
        operations: Sequence[Operation],
    ) -> Reverted:
        """Undo what `run` did, newest first, as far as an operation that has no undo.

        What an earlier run had undone before it was killed is reported again.
        """
        undone: list[StepResult] = []
        with self._claim.made() as session:
            for record in reversed(self._gathered(revision, direction, session)):
                if record.status is StepStatus.UNDONE:
                    undone.append(StepResult.of(record, skipped=True))
                    continue
                self._bench.keep_going()
                operation = operation_of(record, operations)
                reached("mongo.undo.start")
                try:
                    undone.append(self._undo_step(operation, record, session))
                except (_NoUndo, OperationError) as reason:
                    return Reverted(tuple(undone), record.step, str(reason))
        return Reverted(tuple(undone))

    def counted(self, revision: str, direction: Direction) -> tuple[StepRecord, ...]:
        """Return the records with what their parts wrote, without gathering those."""
        return tuple(map(self._counted, self.records(revision, direction)))

    def _counted(self, record: StepRecord) -> StepRecord:
        if "parts" not in record.checkpoint:
            return record
        with driver_errors("read the journal of its operations"):
            parts = self._bench.store.load_parts(record)
        documents = record.documents + sum(part.documents for part in parts)
        return dataclasses.replace(record, documents=documents)

    def settle(self, *attempts: tuple[str, Direction]) -> None:
        """Forget how the operations went: the revisions are complete on both sides."""
        with self._claim.made():
            self._claim.forget(attempts)

    def stamp(self, applied: Sequence[str], session: ClientSession) -> None:
        """Forget what undos left that does not belong to the stamped state."""
        self._bench.staying.stamp(applied, session)

    def fenced(self, write: Callable[[ClientSession], None]) -> None:
        """Write something else that a later run must be able to shut out.

        It is one transaction if the server has them. Raises LockLost.
        """
        with self._claim.made() as session, driver_errors("write its journal"):
            self._bench.store.fenced(write, session)

    def records(self, revision: str, direction: Direction) -> tuple[StepRecord, ...]:
        """Return the records of the steps that were begun, in their order."""
        with driver_errors("read the journal of its operations"):
            return self._bench.store.load(revision, direction)

    def _gathered(
        self, revision: str, direction: Direction, session: ClientSession
    ) -> tuple[StepRecord, ...]:
        """Return the records, counting what their parts wrote as their own."""
        if not self._claim.may_have_records(revision, direction):
            return ()
        for record in self.records(revision, direction):
            if "parts" in record.checkpoint:
                with driver_errors("write the journal of its operations"):
                    self._bench.store.gather(record, session)
        return self.records(revision, direction)

    def decide(
        self, revision: str, direction: Direction, step: int, *, done: bool
    ) -> StepRecord:
        """Settle a step in doubt, or a `run` that failed: it counts as done, or is
        to be called again.

        Raises IntegrityError if the step is not in doubt.
        """
        changes = {"error": "in doubt; to be called again"}
        if done:
            changes = {"status": str(StepStatus.DONE)}
        with self._claim.made(), driver_errors("write the journal of its operations"):
            for record in self.records(revision, direction):
                if record.step == step and may_be_decided(record):
                    stamp = "finished_at" if done else None
                    return self._bench.store.save(record, changes, stamp=stamp)
        raise IntegrityError(
            f"Step {step} of revision {revision} is not in doubt",
            hint="To see which step is: flask db-migrate repair",
        )

    def rehearse(
        self,
        revision: str,
        direction: Direction,
        step: int,
        operation: Operation,
        session: ClientSession,
        *,
        group: str = "",
    ) -> Work:
        """Return what a handler would work with, for a look, beginning nothing.

        group: of an operation that was undone before.
        """
        draft = draft_of(
            Place(revision, direction, step),
            operation,
            token=self._token,
            group=group,
            again=bool(group),
        )
        return Work(self._bench, draft, session)

    def aside_name(self, revision: str, label: str) -> str:
        """Return the name tried first for an aside; see Asides.first_name."""
        return self._bench.asides.first_name(revision, label)

    def claiming_once(self) -> AbstractContextManager[None]:
        """Shut out earlier runs at the first call inside that writes, not at each."""
        return self._claim.once()

    def claim(self) -> None:
        """Shut out earlier runs, and remove what they left of complete revisions.

        Before the journal says that a revision is begun: then it is not complete, and
        what an earlier run left of it would be taken for work that is done.
        """
        with self._claim.made():
            pass

    @contextmanager
    def _limited_to(self, max_time_s: float) -> Iterator[None]:
        """Bound each batch, and each other command, inside."""
        bench = self._bench
        self._bench = dataclasses.replace(bench, max_time_s=max_time_s)
        try:
            yield
        finally:
            self._bench = bench

    def _run_step(
        self,
        operation: Operation,
        draft: StepRecord,
        record: StepRecord | None,
        session: ClientSession,
    ) -> StepResult:
        if record is not None and record.status is StepStatus.DONE:
            return StepResult.of(record, skipped=True)
        if record is not None and record.status is StepStatus.UNDOING:
            self._finish_undoing(operation, record, session)
        if record is not None and record.status is StepStatus.STARTED:
            if in_doubt(record):
                raise doubt(record, operation)
            draft = record
        handler = HANDLERS[type(operation)]
        work = Work(self._bench, draft, session)
        started = time.monotonic()
        _tell("operation_begun", "begun", draft, carried_on=draft is record)
        with self._at(operation, draft):
            if draft is record:
                carry_on(work, operation)
            else:
                if draft.again:
                    self._bench.staying.begin(draft, leaves_out=handler.leaves_out)
                with self._bench.stop.at_once(), work.bench.limited():  # it only looks
                    before = handler.before(operation, work)
                work.begin(before)
            work.report()
            reached("mongo.operation.begun")
            with _commands_of(operation, work.bench):
                try:
                    handler.apply(operation, work)
                finally:
                    if not handler.keeps_collections:
                        self._bench.known.forget()
            reached("mongo.operation.applied")
            work.finish()
            if operation.kind is Kind.UNSAFE:  # a crash must leave no doubt about it
                self._bench.store.flush(session)
            reached("mongo.operation.done")
            work.report(ended=True)
        took_ms, documents = since_ms(started), work.record.documents
        told = {"documents": documents, "duration_ms": took_ms}
        _tell("operation_done", f"done in {took_ms} ms", draft, **told)
        return StepResult.of(work.record)

    def _finish_undoing(
        self, operation: Operation, record: StepRecord, session: ClientSession
    ) -> None:
        """Finish undoing a step whose undo was stopped, so that it can begin."""
        try:
            for note in self._undo_step(operation, record, session).notes:
                what = f"undone, to be run again, except for this: {note}"
                _tell("note", what, record, level=logging.WARNING)
        except _NoUndo as reason:
            raise StepInDoubt(
                f"Step {record.step} of revision {record.revision} is in doubt: "
                f"{reason}",
                where=where_of(operation, record),
            ) from reason

    def _undo_step(
        self, operation: Operation, record: StepRecord, session: ClientSession
    ) -> StepResult:
        """Undo one step, or the rest of one whose undo was stopped.

        Raises _NoUndo, with the record as it was, or OperationError.
        """
        handler = HANDLERS[type(operation)]
        why_not = handler.why_not(operation, record)
        if why_not is not None:
            raise _NoUndo(why_not)
        work = Work(self._bench, record, session)
        started = time.monotonic()
        with self._at(operation, record):
            # A kill on the way must not lose what was noted so far.
            kept = record.notes if record.status is StepStatus.UNDOING else ()
            undoing = str(StepStatus.UNDOING)
            work.save(status=undoing, error=None, notes=list(kept))
            self._bench.store.remove_parts(record)
            reached("mongo.undo.begun")
            try:
                handler.undo(operation, work)
            finally:
                self._bench.known.forget()
            reached("mongo.undo.applied")
            work.report(ended=True)
            handler.tidy(operation, work)
            reached("mongo.undo.tidied")
            work.save(status=str(StepStatus.UNDONE), stamp="finished_at")
            reached("mongo.undo.done")
        _tell("operation_undone", "undone", record, duration_ms=since_ms(started))
        return StepResult.of(work.record)

    def _refuse_unrunnable(
        self, revision: str, operations: Sequence[Operation]
    ) -> None:
        for step, operation in enumerate(operations):
            where = f"revision {revision}, step {step}: {operation.verb}"
            with told_as_operation_errors(step=step, where=where):
                if isinstance(operation, Todo):
                    raise OperationError(f"A todo is left: {operation.text}")
                HANDLERS[type(operation)].refuse(operation, self._bench.app_db)

    @contextmanager
    def _at(self, operation: Operation, record: StepRecord) -> Iterator[None]:
        where = where_of(operation, record)
        with told_as_operation_errors(step=record.step, where=where):
            yield


def _tell(event: str, done: str, record: StepRecord, **fields: Any) -> None:
    """Log an event about one operation."""
    collection = record.subject.get("collection")
    about = f"{record.verb} {collection or ''}".rstrip()
    tell(
        log,
        event,
        f"{record.revision}, step {record.step} ({about}) {done}",
        revision=record.revision,
        direction=record.direction,
        backend=BackendName.MONGO,
        step=record.step,
        operation=record.verb,
        collection=collection,
        **fields,
    )


def _commands_of(operation: Operation, bench: Bench) -> AbstractContextManager[None]:
    """Bound the commands of an operation without batches; batches have their own.

    A function of the script has its own limits, if any.
    """
    calls = HANDLERS[type(operation)].reaches(operation) is not None
    is_single = operation.kind is Kind.IDEMPOTENT and not calls
    return bench.limited() if is_single else nullcontext()


class _NoUndo(Exception):
    """An operation cannot be undone; the message says why."""
