"""The journal of a script's operations: one record per step, and their store.

A record is written before the work it describes. Each later write to it is conditional
on its fencing token, so that a run that lost its lock writes nothing more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from pymongo import ReadPreference, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from ...errors import LockLost
from ...ops import Kind
from ...revisions import Direction
from ...runtime.crashpoints import around
from ...text import storable, storable_lines
from ..server.errors import lock_lost
from ..server.transactions import kill_sessions, transact
from ..server.views import DURABLE, ensure_collection, native

Result = TypeVar("Result")

STEPS = "_migrations_steps"
_FENCE = "fence"


class StepStatus(StrEnum):
    """STARTED and UNDOING: half done, to be continued; UNDONE: as if never run."""

    STARTED = "started"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclasses.dataclass(frozen=True)
class StepRecord:
    """How far one operation of a script is, and how to undo it.

    step: index of the operation in its script, from 0.
    checkpoint: how far the batches are, native BSON: phase, round, last `_id`.
    documents: how many were written; total: how many were expected, None if unknown.
    batches: how many transactions were committed for it.
    part: for a part of a step whose `_id` range is walked in parallel, its number.
    run_at, run_documents: when the current run took it up, and how many documents had
    been written by then.
    subject: what the operation is about; a script that failed may be edited, but not
    this.
    group: identifies the operation in a later run, for what an undo left (Staying);
    again: whether there was an earlier run, which was undone. later: the groups of the
    steps after it that insert into its collection; what stayed of them does not belong
    to it.
    before: what was there before, as far as the undo needs it.
    error: what a function of the script raised; None after a crash.
    """

    revision: str
    direction: Direction
    step: int
    verb: str
    fingerprint: str
    kind: Kind
    status: StepStatus
    token: int
    by: str
    host: str
    subject: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    group: str = ""
    again: bool = False
    later: Sequence[str] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    checkpoint: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    documents: int = 0
    total: int | None = None
    batches: int = 0
    before: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    part: int | None = None
    run_at: datetime | None = None
    run_documents: int = 0

    @property
    def wrote_nothing(self) -> bool:
        """True if no document was written; see Work.begin_writing."""
        return not self.documents and "begun" not in self.before

    @property
    def id(self) -> dict[str, Any]:
        part = {} if self.part is None else {"part": self.part}
        return {
            "revision": self.revision,
            "direction": str(self.direction),
            "step": self.step,
            **part,
        }

    def to_document(self) -> dict[str, Any]:
        """Return the fields as stored, without `_id` and times."""
        names = {field.name for field in dataclasses.fields(self)}
        names -= {"revision", "direction", "step", "part"}
        names -= {"started_at", "finished_at", "run_at"}
        document = {name: getattr(self, name) for name in sorted(names)}
        return document | {
            "kind": str(self.kind),
            "status": str(self.status),
            "notes": list(self.notes),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StepRecord:
        values = {key: value for key, value in document.items() if key != "_id"}
        values |= document["_id"]
        values["direction"] = Direction(values["direction"])
        values["kind"] = Kind(values["kind"])
        values["status"] = StepStatus(values["status"])
        values["notes"] = tuple(values["notes"])
        return cls(**values)


class StepStore:
    """Reads and writes the records of one database, for one holder of the lock.

    token: the holder's fencing token; a record that a later holder wrote is no longer
    ours.
    transactions: False on a standalone server.
    """

    def __init__(
        self, db: Database[Any], *, token: int, transactions: bool = True
    ) -> None:
        self._db = db
        self._token = token
        self._transactions = transactions
        self._records = native(db, STEPS)

    @property
    def _ours(self) -> dict[str, Any]:
        return {"$lte": self._token}

    @around("mongo.steps.claim")
    def claim(self, session_id: Mapping[str, Any] | None = None) -> None:
        """Shut out earlier runs; raise LockLost if there is a later one.

        session_id: the server session of our transactions; None: there will be none.
        The sessions of the previous run are ended: if it was killed in a transaction,
        they would hold up our writes for a minute.
        """
        sessions = [] if session_id is None else [session_id]
        ensure_collection(self._db, STEPS)
        fence = self._records.find_one({"_id": _FENCE, "token": self._ours}) or {}
        former = [each for each in fence.get("sessions", ()) if each != session_id]
        if former:
            kill_sessions(self._db, former)
        try:
            self._records.update_one(
                {"_id": _FENCE, "token": self._ours},
                {"$set": {"token": self._token, "sessions": sessions}},
                upsert=True,
            )
        except DuplicateKeyError as error:
            raise self._lost() from error

    @around("mongo.steps.shut_out")
    def shut_out(self) -> None:
        """Shut out earlier runs, without continuing what they began.

        The fence keeps them from beginning a step; this keeps them from continuing one:
        a run that wakes up retries a transaction that we ended.
        """
        self.claim()
        before = {"token": {"$lt": self._token}}
        self._records.update_many(before, {"$set": {"token": self._token}})

    @around("mongo.steps.enlist")
    def enlist(self, session_ids: Sequence[Mapping[str, Any]]) -> None:
        """Add server sessions to those that the next run has to end."""
        held = self._records.update_one(
            {"_id": _FENCE, "token": self._ours},
            {"$push": {"sessions": {"$each": list(session_ids)}}},
        )
        if not held.matched_count:
            raise self._lost()

    def load(self, revision: str, direction: Direction) -> tuple[StepRecord, ...]:
        """Return the records of a revision in one direction, in the order of steps.

        A step's count of documents includes what its parts wrote.
        """
        found = self._records.find(_of(revision, direction)).sort("_id", 1)
        records: dict[int, StepRecord] = {}
        for record in map(StepRecord.from_document, found):
            if record.part is None:
                records[record.step] = record
                continue
            whole = records[record.step]
            documents = whole.documents + record.documents
            records[record.step] = dataclasses.replace(whole, documents=documents)
        return tuple(records.values())

    def load_parts(
        self, record: StepRecord, session: ClientSession | None = None
    ) -> tuple[StepRecord, ...]:
        """Return the records of a step's parts, in the order of their ranges."""
        found = self._records.find(_parts_of(record), session=session)
        return tuple(map(StepRecord.from_document, found.sort("_id.part", 1)))

    @around("mongo.steps.split")
    def add_parts(
        self,
        record: StepRecord,
        places: Sequence[Mapping[str, Any]],
        session: ClientSession,
    ) -> None:
        """Write a record for each part of a step, with the range that it has."""
        self.remove_parts(record, session)
        parts = [
            dataclasses.replace(
                record, part=number, documents=0, batches=0, checkpoint=place
            )
            for number, place in enumerate(places)
        ]
        self._records.insert_many(
            [{"_id": part.id, **part.to_document()} for part in parts],
            session=session,
        )

    @around("mongo.steps.join")
    def remove_parts(
        self, record: StepRecord, session: ClientSession | None = None
    ) -> None:
        query = _parts_of(record) | {"token": self._ours}
        self._records.delete_many(query, session=session)

    @around("mongo.steps.gather")
    def gather(self, record: StepRecord, session: ClientSession) -> None:
        """Count what a step's parts wrote as the step's own.

        Their positions stay, as do the numbers of their batches, which are keys.
        """

        def attempt(inner: ClientSession) -> None:
            parts = self.load_parts(record, inner)
            for part in parts:
                self.save(part, {}, documents=-part.documents, session=inner)
            documents = sum(part.documents for part in parts)
            self.save(record, {}, documents=documents, session=inner)

        transact(session, attempt, supported=self._transactions)

    @around("mongo.steps.begin")
    def begin(self, record: StepRecord, session: ClientSession) -> StepRecord:
        """Write the record of an operation that was not begun or was undone.

        Done in one transaction with the fence: a run that lost its lock begins nothing.
        """

        return self.fenced(lambda inner: self._insert(record, inner), session)

    def fenced(
        self, write: Callable[[ClientSession], Result], session: ClientSession
    ) -> Result:
        """Run `write` in one transaction with the fence; raise LockLost if shut out."""

        def attempt(inner: ClientSession) -> Result:
            self._hold_fence(inner)
            return write(inner)

        return transact(
            session,
            attempt,
            supported=self._transactions,
            # A collection cannot be created in a snapshot.
            read_concern=ReadConcern("local"),
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )

    def _hold_fence(self, session: ClientSession) -> None:
        # Counting makes it a write: an update without a change conflicts with none.
        held = self._records.update_one(
            {"_id": _FENCE, "token": self._ours},
            {"$set": {"token": self._token}, "$inc": {"begun": 1}},
            session=session,
        )
        if not held.matched_count:
            raise self._lost()

    def _insert(self, record: StepRecord, session: ClientSession) -> StepRecord:
        try:
            written = self._records.find_one_and_update(
                {"_id": record.id, "status": str(StepStatus.UNDONE)},
                {
                    "$set": record.to_document(),
                    "$unset": {"finished_at": ""},
                    "$currentDate": {"started_at": True, "run_at": True},
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        except DuplicateKeyError as error:
            raise self._lost() from error
        assert written is not None  # an upsert that returns the document after it
        return StepRecord.from_document(written)

    @around("mongo.steps.save")
    def save(
        self,
        record: StepRecord,
        changes: Mapping[str, Any],
        *,
        documents: int = 0,
        batches: int = 0,
        stamp: str | None = None,
        session: ClientSession | None = None,
    ) -> StepRecord:
        """Change a record, provided that no later holder of the lock has.

        documents, batches: added to the counts. stamp: a field that gets the server's
        time.
        Returns the record as it is now. Raises LockLost.
        """
        update: dict[str, Any] = {
            "$set": {**changes, **_texts_of(changes), "token": self._token},
            "$inc": {"documents": documents, "batches": batches},
        }
        if stamp is not None:
            update["$currentDate"] = {stamp: True}
        written = self._records.find_one_and_update(
            {"_id": record.id, "token": self._ours},
            update,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if written is None:
            raise self._lost()
        return StepRecord.from_document(written)

    @around("mongo.steps.remove")
    def remove(self, revision: str, direction: Direction) -> None:
        """Forget the records of a revision that is complete."""
        self._records.delete_many(_of(revision, direction) | {"token": self._ours})

    def _lost(self) -> LockLost:
        return lock_lost(self._token)


def _texts_of(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts among the changes, which come from a script, made storable."""
    texts: dict[str, Any] = {}
    if changes.get("error") is not None:
        texts["error"] = storable(changes["error"])
    if changes.get("notes"):
        texts["notes"] = storable_lines(changes["notes"])
    return texts


def _parts_of(record: StepRecord) -> dict[str, Any]:
    of_step = {"_id.step": record.step, "_id.part": {"$exists": True}}
    return _of(record.revision, record.direction) | of_step


def _of(revision: str, direction: Direction) -> dict[str, Any]:
    return {"_id.revision": revision, "_id.direction": str(direction)}
