"""The store of the records of a script's operations, one per step.

A record is written before the work it describes. Each later write to it is conditional
on its fencing token, so that a run that lost its lock writes nothing more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference, ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from ...errors import LockLost
from ...revisions import Direction
from ...runtime.crashpoints import around
from ...text import storable, storable_lines
from ..server.errors import lock_lost
from ..server.failures import DUPLICATE_KEY, code_of
from ..server.transactions import kill_sessions, transact
from ..server.views import DURABLE, NATIVE, native
from .step_record import StepRecord, StepStatus

Result = TypeVar("Result")

STEPS = "_migrations_steps"
_FENCE = "fence"
_STUCK_S = 2.0
"""Seconds after which a write of the fence is taken to wait for a transaction."""
_TOUCHED = "touched"
"""In the fence: the collection of Touched was made before a step was begun."""


class StepStore:
    """Reads and writes the records of one database, for one holder of the lock.

    token: the holder's fencing token; a record that a later holder wrote is no longer
    ours.
    transactions: False on a standalone server. has_touched: whether the collection of
    Touched exists, as the last claim found.
    """

    def __init__(
        self, db: Database[Any], *, token: int, transactions: bool = True
    ) -> None:
        self._db = db
        self._token = token
        self._transactions = transactions
        self._records = native(db, STEPS)
        self._due: list[UpdateOne] = []
        self.has_touched = False

    @property
    def _ours(self) -> dict[str, Any]:
        return {"$lte": self._token}

    @around("mongo.steps.claim")
    def claim(
        self, session_id: Mapping[str, Any] | None = None
    ) -> set[tuple[str, Direction]]:
        """Shut out earlier runs; raise LockLost if there is a later one.

        session_id: the server session of our transactions; None: there will be none.
        The sessions of the previous run are ended: if it was killed in a transaction,
        they would hold up our writes for a minute.
        Returns the revisions that have records, with their directions.
        """
        try:
            # A transaction of the former run may have written the fence.
            with pymongo.timeout(_STUCK_S):
                fence = self._take_fence(session_id)
        except PyMongoError as error:
            if not error.timeout:
                raise
            self._end_sessions(self._records.find_one({"_id": _FENCE}), session_id)
            fence = self._take_fence(session_id)
        self._end_sessions(fence, session_id)
        self.has_touched = bool((fence or {}).get(_TOUCHED))
        found = self._records.find({"_id.revision": {"$exists": True}}, {"_id": True})
        steps = [doc["_id"] for doc in found]
        return {(of["revision"], Direction(of["direction"])) for of in steps}

    def _take_fence(self, session_id: Mapping[str, Any] | None) -> Any:
        """Write the fence; return it as it was. Raises LockLost."""
        sessions = [] if session_id is None else [session_id]
        try:
            return self._records.find_one_and_update(
                {"_id": _FENCE, "token": self._ours},
                {"$set": {"token": self._token, "sessions": sessions}},
                upsert=True,
            )
        except DuplicateKeyError as error:
            raise self._lost() from error

    def _end_sessions(
        self, fence: Mapping[str, Any] | None, but: Mapping[str, Any] | None
    ) -> None:
        """End the sessions that a former run named in the fence."""
        fence = fence or {"token": 0}
        former = [each for each in fence.get("sessions", ()) if each != but]
        if former and fence["token"] <= self._token:
            kill_sessions(self._db, former)

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

        What is due is written with it, in one command, the fence first: a run that lost
        its lock begins nothing. Returns the record as stored, without times.
        """
        document = bson.encode(record.to_document(), codec_options=NATIVE)
        began = UpdateOne(
            {"_id": record.id, "status": str(StepStatus.UNDONE)},
            {
                "$set": RawBSONDocument(document),
                "$unset": {"finished_at": ""},
                "$currentDate": {"started_at": True, "run_at": True},
            },
            upsert=True,
        )
        self._send([*self._due, began], session)
        stored = bson.decode(document, codec_options=NATIVE)
        return StepRecord.from_document({"_id": record.id, **stored})

    def finish(self, record: StepRecord) -> StepRecord:
        """Mark a step as done: with the next one that begins, or at the next flush."""
        done = {"status": str(StepStatus.DONE), "token": self._token}
        self._due.append(
            UpdateOne(
                {"_id": record.id, "token": self._ours},
                {"$set": done, "$currentDate": {"finished_at": True}},
            )
        )
        return dataclasses.replace(record, status=StepStatus.DONE, token=self._token)

    def drop_due(self) -> None:
        """Forget what is due: it could not be written, and may not hold any longer."""
        self._due = []

    @around("mongo.steps.flush")
    def flush(self, session: ClientSession) -> None:
        """Write what is due."""
        if self._due:
            self._send(self._due, session)

    def _send(self, writes: Sequence[UpdateOne], session: ClientSession) -> None:
        """Send writes after one that fails if a later run holds the lock.

        Its upsert meets the existing document then, and nothing after it is done. A
        claim that comes between two of them is met by the tokens of the records.
        """
        fence = UpdateOne(
            {"_id": _FENCE, "token": self._ours},
            {"$set": {"token": self._token, _TOUCHED: True}, "$inc": {"begun": 1}},
            upsert=True,
        )
        try:
            told = self._records.bulk_write([fence, *writes], session=session)
        except BulkWriteError as error:
            if code_of(error) != DUPLICATE_KEY:
                raise
            raise self._lost() from error
        if told.matched_count + told.upserted_count <= len(writes):
            raise self._lost()
        self._due = []

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
    def remove(self, attempts: Sequence[tuple[str, Direction]]) -> None:
        """Forget the records of revisions that are complete, in both directions."""
        revisions = [revision for revision, _ in attempts]
        those = {"_id.revision": {"$in": revisions}}
        self._records.delete_many(those | {"token": self._ours})

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
