"""The journal of a script's operations: one record a step, and the store of them.

A record is written before the work that it describes. Each later write to it is
conditional on its fencing token, so that a run that lost its lock writes nothing more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from ..errors import LockLost
from ..ops import Kind
from ..revision import Direction
from .transactions import kill_session
from .views import ensure_collection, native

STEPS = "_migrations_steps"
_FENCE = "fence"


class StepStatus(StrEnum):
    """STARTED and UNDOING: half done, to be carried on; UNDONE: as if never run."""

    STARTED = "started"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclasses.dataclass(frozen=True)
class StepRecord:
    """How far one operation of a script is, and how to undo it.

    step: index of the operation in its script, from 0.
    checkpoint: where the batches stand, native BSON: phase, round, last `_id`.
    documents: how many were written; total: how many were expected, None if unknown.
    batches: how many transactions were committed for it.
    subject: what the operation is about; a script that failed may be edited, not this.
    before: what was there before, as far as undoing needs it.
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
    started_at: datetime | None = None
    finished_at: datetime | None = None
    checkpoint: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    documents: int = 0
    total: int | None = None
    batches: int = 0
    before: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None

    @property
    def id(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "direction": str(self.direction),
            "step": self.step,
        }

    def to_document(self) -> dict[str, Any]:
        """Return the fields as they are stored, without `_id` and times."""
        names = {field.name for field in dataclasses.fields(self)}
        names -= {"revision", "direction", "step", "started_at", "finished_at"}
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

    token: the holder's fencing token; a record that a later holder wrote is not ours.
    """

    def __init__(self, db: Database[Any], *, token: int) -> None:
        self._db = db
        self._token = token
        self._records = native(db, STEPS)

    @property
    def _ours(self) -> dict[str, Any]:
        return {"$lte": self._token}

    def claim(self, session_id: Mapping[str, Any] | None = None) -> None:
        """Shut out the runs before us; raise LockLost if there is one after us.

        session_id: the server session of our transactions. The one of the run before
        is ended: killed in a transaction, it would hold up our writes for a minute.
        """
        ensure_collection(self._db, STEPS)
        fence = self._records.find_one({"_id": _FENCE, "token": self._ours}) or {}
        former = fence.get("session")
        if former is not None and former != session_id:
            kill_session(self._db, former)
        try:
            self._records.update_one(
                {"_id": _FENCE, "token": self._ours},
                {"$set": {"token": self._token, "session": session_id}},
                upsert=True,
            )
        except DuplicateKeyError as error:
            raise self._lost() from error

    def load(self, revision: str, direction: Direction) -> tuple[StepRecord, ...]:
        """Return the records of a revision in one direction, in the order of steps."""
        found = self._records.find(_of(revision, direction)).sort("_id.step", 1)
        return tuple(map(StepRecord.from_document, found))

    def begin(self, record: StepRecord, session: ClientSession) -> StepRecord:
        """Write the record of an operation that was not begun, or was undone.

        One transaction with the fence: a run that lost its lock begins nothing.
        """

        def attempt(inner: ClientSession) -> StepRecord:
            self._hold_fence(inner)
            return self._insert(record, inner)

        return session.with_transaction(attempt)

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
                    "$currentDate": {"started_at": True},
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        except DuplicateKeyError as error:
            raise self._lost() from error
        assert written is not None  # an upsert that returns the document after it
        return StepRecord.from_document(written)

    def save(
        self,
        record: StepRecord,
        changes: Mapping[str, Any],
        *,
        documents: int = 0,
        batches: int = 0,
        finished: bool = False,
        session: ClientSession | None = None,
    ) -> StepRecord:
        """Change a record, on the condition that no later holder of the lock did.

        documents, batches: added to the counts. finished: stamp the server's time.
        Returns the record as it is now. Raises LockLost.
        """
        update: dict[str, Any] = {
            "$set": {**changes, "token": self._token},
            "$inc": {"documents": documents, "batches": batches},
        }
        if finished:
            update["$currentDate"] = {"finished_at": True}
        written = self._records.find_one_and_update(
            {"_id": record.id, "token": self._ours},
            update,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if written is None:
            raise self._lost()
        return StepRecord.from_document(written)

    def remove(self, revision: str, direction: Direction) -> None:
        """Forget the records of a revision that is complete."""
        self._records.delete_many(_of(revision, direction) | {"token": self._ours})

    def _lost(self) -> LockLost:
        return LockLost(
            "Another run has taken over the migration of MongoDB",
            where=f"fencing token {self._token}",
            hint="Nothing was written after that; see flask db-migrate status.",
        )


def _of(revision: str, direction: Direction) -> dict[str, Any]:
    return {"_id.revision": revision, "_id.direction": str(direction)}
