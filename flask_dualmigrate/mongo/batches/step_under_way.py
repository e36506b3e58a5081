"""What operation handlers work with: one step of one revision, in progress."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, TypeVar

from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from ...backend import Progress
from ...revisions import Direction
from ...runtime.crashpoints import reached
from ...runtime.stopping import NEVER, Stop
from ..asides.aside import Asides
from ..journal.left_alone import Staying
from ..journal.step_record import StepRecord, StepStatus
from ..journal.steps import StepStore
from ..journal.written_documents import Touched
from ..server.replication import Replication
from ..server.time_limit import limit
from ..server.transactions import TransactionTooLong, transact
from ..server.views import DURABLE, EXACT, ExactDatabase, as_stored, collection_info
from .known import KnownCollections
from .pace import Pace, Recent

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Bench:
    """What the steps of one run share.

    db: the exact view; app_db: what functions of the script get. keep_going: raises
    when the run must stop. batch_seconds: how long a batch may take; 0: its size does
    not adapt. transactions: False on a standalone server. stop: interrupts what may be
    interrupted. max_time_s: how long a batch, or another command, may take; 0: no
    limit. binding: wraps what does not call `keep_going`, such as a function of a
    script, so that it ends with the lease.
    """

    db: ExactDatabase
    app_db: Database[Any]
    store: StepStore
    asides: Asides
    touched: Touched
    staying: Staying
    replication: Replication
    known: KnownCollections
    keep_going: Callable[[], None]
    on_progress: Callable[[Progress], None]
    batch_seconds: float = 0.5
    transactions: bool = True
    stop: Stop = NEVER
    max_time_s: float = 0.0
    binding: Callable[[], AbstractContextManager[None]] = nullcontext

    def limited(self) -> AbstractContextManager[None]:
        """Bound the commands inside, all together; see `limit`."""
        return limit(self.db.client, self.max_time_s)


class Work:
    """One step in progress: its record, its transactions, the tools of its run.

    record: as last committed; a draft until `begin`.
    """

    def __init__(self, bench: Bench, draft: StepRecord, session: ClientSession) -> None:
        self.bench = bench
        self.db = bench.db
        self.record = draft
        self._session = session
        self._validated: dict[str, bool] = {}
        self._pending: StepRecord | None = None
        self._began_s, self._began_at = time.monotonic(), draft.documents
        self._recent = Recent(draft.documents)

    @property
    def before(self) -> Mapping[str, Any]:
        """What was there before the operation, as kept in its record."""
        return self.record.before

    @property
    def is_downgrade(self) -> bool:
        return self.record.direction is Direction.DOWNGRADE

    def bypasses(self, collection: str) -> bool:
        """True if writes bypass a collection's validator, as those that put back do.

        Without a validator there is no need to, and no privilege for it.
        """
        if not self.is_downgrade and self.record.status is not StepStatus.UNDOING:
            return False
        if collection not in self._validated:
            info = collection_info(self.db, collection)
            self._validated[collection] = bool(info and "validator" in info["options"])
        return self._validated[collection]

    def begin(self, before: Mapping[str, Any]) -> None:
        """Write the record, with what was there before, so that the work may start."""
        record = dataclasses.replace(self.record, before=before)
        self.record = self.bench.store.begin(record, self._session)

    def finish(self) -> None:
        """Mark the step as done; written with the next step, see StepStore.finish."""
        self.record = self.bench.store.finish(self.record)

    def begin_writing(self) -> None:
        """Note that documents may be written; without transactions, before they are.

        Without transactions a batch that fails is partly written, and not counted
        anywhere.
        """
        if not self.bench.transactions and "begun" not in self.before:
            whole = dataclasses.replace(self.record, part=None)
            self.bench.store.save(whole, {"before.begun": True})
            before = {**self.before, "begun": True}
            self.record = dataclasses.replace(self.record, before=before)

    def transact(
        self,
        attempt: Callable[[ClientSession], Result],
        *,
        on_retry: Callable[[], None] = lambda: None,
    ) -> Result:
        """Commit what `attempt` does, once; it may be called several times.

        What it saves in the record takes effect when the transaction is committed.
        on_retry: called before each further attempt.
        """
        calls = 0

        def guarded(session: ClientSession) -> Result:
            nonlocal calls
            self.bench.keep_going()
            if calls:
                on_retry()
            calls += 1
            self._pending = None
            with self.bench.limited():  # not the commit: that would be in doubt
                return attempt(session)

        result = transact(
            self._session,
            guarded,
            supported=self.bench.transactions,
            read_concern=ReadConcern("snapshot"),
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )
        if self._pending is not None:
            self._adopt(self._pending)
            reached("mongo.batch.done")
        return result

    def transact_some(
        self,
        pace: Pace,
        attempt: Callable[[ClientSession], Result],
        *,
        on_retry: Callable[[], None] = lambda: None,
    ) -> Result:
        """Commit what `attempt` does with at most pace.size documents.

        Fewer are used if a transaction does not live long enough.
        on_retry: as in transact.
        """
        while True:
            pace.tried = pace.size
            try:
                return self.transact(attempt, on_retry=on_retry)
            except TransactionTooLong as error:
                if pace.tried <= 1:
                    raise
                pace.outlived(error.share)

    def checkpoint(
        self,
        session: ClientSession,
        place: Mapping[str, Any],
        *,
        documents: int,
        batches: int = 1,
        **changes: Any,
    ) -> None:
        """Save how far the batches are, in the transaction of the batch."""
        self._pending = self.bench.store.save(
            self.record,
            {"checkpoint": place, **changes},
            documents=documents,
            batches=batches,
            session=session,
        )
        reached("mongo.batch.checkpoint")

    def save(self, *, stamp: str | None = None, **changes: Any) -> None:
        """Change the record, outside of a transaction."""
        self.record = self.bench.store.save(self.record, changes, stamp=stamp)

    def note(self, text: str) -> None:
        """Add a remark to what the run reports about this step, once."""
        if text not in self.record.notes:
            self.save(notes=[*self.record.notes, text])

    def native(self, value: Any) -> Any:
        """Return a script's value as BSON has it, using the app's codec options.

        A UUID, or a type from the app's own registry, becomes what the app would store.
        Raises OperationError for a value that has no BSON type.
        """
        data = self.encoded({"value": value})
        return RawBSONDocument(data, codec_options=EXACT)["value"]

    def encoded(self, document: Mapping[str, Any]) -> bytes:
        """Return a document as the app would store it; see `native`."""
        return as_stored(document, self.bench.app_db, what="The script")

    def _adopt(self, record: StepRecord) -> None:
        grown = record.documents != self.record.documents
        self.record = record
        if grown:
            self.report()

    def report(self, *, ended: bool = False) -> None:
        """Report how far the step is."""
        elapsed_s = time.monotonic() - self._began_s
        tell = undoing_of if self.record.status is StepStatus.UNDOING else progress_of
        progress = tell(self.record, elapsed_s, since=self._began_at)
        recent = self._recent.rate(self.record.documents)
        rate = progress.rate if ended else recent or progress.rate
        self.bench.on_progress(dataclasses.replace(progress, rate=rate, ended=ended))


def undoing_of(record: StepRecord, elapsed_s: float, *, since: int) -> Progress:
    """Return how far a step's undo is. since: documents when it began."""
    undone = since - record.documents
    return Progress(
        revision=record.revision,
        step=record.step,
        verb=f"undo {record.verb}",
        subject=record.subject.get("collection"),
        done=undone,
        total=since,
        rate=undone / elapsed_s if undone and elapsed_s > 0 else None,
    )


def progress_of(record: StepRecord, elapsed_s: float, *, since: int) -> Progress:
    """Return how far a step is. since: documents when the elapsed time began."""
    rate = (record.documents - since) / elapsed_s if elapsed_s > 0 else 0.0
    return Progress(
        revision=record.revision,
        step=record.step,
        verb=record.verb,
        subject=record.subject.get("collection"),
        done=record.documents,
        total=record.total,
        rate=rate if rate > 0 else None,
    )


def progress_at(now: datetime, records: Iterable[StepRecord]) -> Progress | None:
    """Return how far the step in progress is; None if there is none.

    now: the server's time, aware or not, as the app's client gives it.
    """
    aware = now if now.tzinfo else now.replace(tzinfo=UTC)
    for at in records:
        if at.status is StepStatus.STARTED and at.run_at is not None:
            elapsed_s = (aware - at.run_at).total_seconds()
            return progress_of(at, elapsed_s, since=at.run_documents)
    return None
