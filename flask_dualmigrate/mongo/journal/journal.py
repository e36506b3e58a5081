"""`_migrations`: one document per revision, with all its attempts in `history`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC
from typing import Any

from bson import CodecOptions
from pymongo import ReadPreference, UpdateOne, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from ...backend.journal import Actor, Entry, Undone
from ...errors import IntegrityError
from ...revisions import Direction, Revision, Status
from ...runtime.crashpoints import around
from ...text import storable_lines
from ..server.errors import lock_lost
from ..server.failures import DUPLICATE_KEY, code_of
from .attempts import (
    UNDOING,
    UNSTAMPED,
    Doc,
    beginning,
    ending,
    literal,
    stamping,
    undoing,
)
from .meta import Meta, MetaStore
from .names import ENTRIES
from .step_record import StepStatus
from .steps import STEPS

COLLECTION = ENTRIES


def durable(db: Database[Any]) -> Database[Doc]:
    """Return our own view of a database: primary, majority, journaled, aware times."""
    return Database(
        db.client,
        db.name,
        codec_options=CodecOptions(tz_aware=True, tzinfo=UTC),
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority", j=True),
        read_concern=ReadConcern("majority"),
    )


class MongoJournal:
    """Reads and writes the entries of one database.

    token: returns the fencing token of our lock; reading needs none. It is stored in
    each entry that is written; an entry that a later holder wrote is no longer ours.
    tried: which server was tried, as last read.
    """

    def __init__(
        self, db: Database[Any], *, token: Callable[[], int] = lambda: 0
    ) -> None:
        self._db = durable(db)
        self._token = token
        self._entries = self._db[COLLECTION]
        self._meta = MetaStore(self._db)
        self._has_history = False
        self.tried: str | None = None
        self._due: list[str] = []

    def entries(self) -> dict[str, Entry]:
        """Return revision id -> the last attempt at it."""
        return {doc["_id"]: self._entry_of(doc) for doc in self._last()}

    def _entry_of(self, doc: Doc) -> Entry:
        entry = _entry(doc)
        if not entry.awaits_partner or UNDOING in doc or not self._undone_since(doc):
            return entry
        return dataclasses.replace(
            entry, status=Status.RUNNING, awaits_partner=False, undoing=True
        )

    def _undone_since(self, doc: Doc) -> bool:
        """Return whether a run was undoing what an entry calls done.

        That is how a kill left it, before entries recorded undoing. A step undone
        before that attempt ended belongs to an earlier one.
        """
        ended = {"$gte": doc["finished_at"]} if doc.get("finished_at") else None
        undone = {"status": str(StepStatus.UNDONE)}
        either = [
            {"status": str(StepStatus.UNDOING)},
            undone if ended is None else undone | {"finished_at": ended},
        ]
        steps = {"_id.revision": doc["_id"], "_id.direction": doc.get("direction")}
        return self._db[STEPS].find_one({**steps, "$or": either}) is not None

    def _last(self, session: ClientSession | None = None) -> Iterator[Doc]:
        """Yield each document without the attempts before its last one."""
        yield from self._entries.find({}, {"history": False}, session=session)

    def meta(self) -> Meta:
        """Return what the database says about itself."""
        found = self._meta.read()
        self._has_history = found.has_history and not found.unused
        self.tried = found.tried
        return found

    @around("mongo.pair_id")
    def set_pair_id(self, pair_id: str) -> None:
        self._meta.set_pair_id(pair_id, unused=not self._has_entries())

    def note_tried(self, server: str) -> None:
        """Write which server was found able to do what migrations need."""
        self._meta.note_tried(server)

    @around("mongo.pair_anew")
    def pair_anew(self, pair_id: str, session: ClientSession) -> None:
        """Write a new id. session: of a transaction, if the server has them."""
        self._meta.pair_anew(pair_id, session)

    def note_history(self, session: ClientSession | None = None) -> None:
        """Record whether there are entries: if none are found later, they were lost."""
        self._has_history = self._has_entries(session)
        self._meta.note_history(self._has_history, session)

    def _has_entries(self, session: ClientSession | None = None) -> bool:
        return self._entries.find_one({}, {"_id": True}, session=session) is not None

    @around("mongo.journal.begin")
    def begin(self, revision: Revision, direction: Direction, *, checksum: str) -> None:
        """Record that an attempt runs, and what is due."""
        actor = Actor.current()
        stages = beginning(
            revision,
            direction,
            checksum=checksum,
            by=f"{actor.user} (pid {actor.pid})",
            host=actor.host,
        )
        self._write(revision.id, stages, upsert=True)
        if not self._has_history:
            self._meta.note_history(True)
            self._has_history = True

    @around("mongo.journal.finish")
    def finish(
        self,
        revision_id: str,
        status: Status,
        *,
        direction: Direction,
        duration_ms: int | None = None,
        awaits_partner: bool = False,
        partial: bool = False,
        error: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Record how an attempt ended, and add it to the history.

        status: the revision's status now. A downgrade that was undone leaves it
        applied, an upgrade that was undone leaves it failed.
        """
        stages = ending(
            status,
            direction=direction,
            duration_ms=duration_ms,
            awaits_partner=awaits_partner,
            partial=partial,
            error=error,
            notes=notes,
        )
        self._write(revision_id, stages)

    @around("mongo.journal.undo")
    def begin_undoing(self, revision_id: str, direction: Direction) -> None:
        """Record that an attempt is being undone, before its first operation is.

        Whatever its status was, from here on it is neither done nor final.
        """
        self._write(revision_id, undoing(direction))

    @around("mongo.journal.undone")
    def undone(
        self,
        revision_id: str,
        direction: Direction,
        undone: Undone,
        *,
        error: str | None,
        by_script: bool,
    ) -> None:
        """Record what undoing an attempt left. by_script: as in Backend.

        All in one write: if nothing of a downgrade is left, the history records the
        attempt, and the entry is as before it.
        """
        is_down, partial = direction is Direction.DOWNGRADE, undone.stays is not None
        status = Status.FAILED if error or partial else Status.ROLLED_BACK
        if is_down and not partial:
            status, error = Status.APPLIED, error or "undone"
        stages = ending(
            status,
            direction=direction,
            partial=partial,
            error=error,
            notes=undone.notes,
        )
        left = {"notes": {"$literal": storable_lines(undone.notes)}}
        stages.append({"$set": left})
        if is_down and not partial:
            as_before = {"direction": str(Direction.UPGRADE), "error": None}
            stages.append({"$set": as_before})
        elif not by_script:
            stages.append({"$set": {"checksum": None}})
        self._write(revision_id, stages)

    def settle(self, revision_id: str) -> None:
        """Record that the partner is done too: with the next write, or at a flush."""
        self._due.append(revision_id)

    def drop_due(self) -> None:
        """Leave what is due to the next run, as when the lock is lost."""
        self._due = []

    @around("mongo.journal.settle")
    def flush(self) -> None:
        """Record what is due."""
        self._send([], None)

    def _write(
        self,
        revision_id: str,
        stages: Sequence[Doc],
        *,
        upsert: bool = False,
        session: ClientSession | None = None,
    ) -> None:
        """Change an entry, after those due; raise LockLost if a later holder has."""
        change = self._change(revision_id, stages, upsert=upsert)
        self._send([(revision_id, change)], session)

    def _change(
        self, revision_id: str, stages: Sequence[Doc], *, upsert: bool = False
    ) -> UpdateOne:
        token = self._token()
        ours = {"_id": revision_id, "token": {"$not": {"$gt": token}}}
        return UpdateOne(ours, [*stages, {"$set": {"token": token}}], upsert=upsert)

    def _send(
        self, changes: Sequence[tuple[str, UpdateOne]], session: ClientSession | None
    ) -> None:
        settled = [{"$set": {"awaits_partner": False}}]
        due = []
        if session is None:  # an attempt in a transaction may be repeated
            due = [(each, self._change(each, settled)) for each in self._due]
        if not due and not changes:
            return
        ids, writes = zip(*due, *changes, strict=True)
        try:
            written = self._entries.bulk_write([*writes], session=session)
        except BulkWriteError as error:
            if code_of(error) != DUPLICATE_KEY:
                raise
            raise lock_lost(self._token()) from error
        found = written.matched_count + written.upserted_count
        if found < len(writes) and self._count(ids, session) > found:
            raise lock_lost(self._token())
        if session is None:
            self._due = []

    def _count(self, ids: Sequence[str], session: ClientSession | None) -> int:
        """Return how many of these entries exist, each counted as often as named."""
        query = {"_id": {"$in": list(ids)}}
        found = self._entries.find(query, {"_id": True}, session=session)
        there = {doc["_id"] for doc in found}
        return sum(each in there for each in ids)

    @around("mongo.journal.stamp")
    def stamp(
        self, revisions: dict[str, tuple[Revision, str]], session: ClientSession
    ) -> None:
        """Mark exactly these revisions as applied: id -> (revision, checksum).

        session: of a transaction, if the server has them.
        """
        entries = {doc["_id"]: _entry(doc) for doc in self._last(session)}
        for revision_id, (revision, checksum) in revisions.items():
            entry = entries.pop(revision_id, None)
            if entry is not None and entry.applied and not entry.open:
                self._mark(revision_id, {"checksum": checksum}, (), session)
                continue
            times = ("applied_at", "finished_at")
            self._mark(revision_id, stamping(revision, checksum), times, session)
        for revision_id, entry in entries.items():
            if entry.status is not Status.ROLLED_BACK:
                self._mark(revision_id, UNSTAMPED, ("finished_at",), session)
        self.note_history(session)

    @around("mongo.journal.mark")
    def _mark(
        self,
        revision_id: str,
        fields: Doc,
        times: Sequence[str],
        session: ClientSession,
    ) -> None:
        now = dict.fromkeys(times, "$$NOW")
        stages = [{"$set": {**literal(fields), **now}}]
        self._write(revision_id, stages, upsert=True, session=session)

    @around("mongo.journal.accept")
    def accept(self, revision_id: str, checksum: str) -> None:
        """Write a new checksum for an applied revision."""
        self._write(revision_id, [{"$set": literal({"checksum": checksum})}])

    def history(self, revision_id: str) -> tuple[Doc, ...]:
        """Return all attempts at a revision, oldest first."""
        doc = self._entries.find_one({"_id": revision_id}) or {}
        attempts = tuple(doc.get("history", ()))
        if doc.get("status") == Status.RUNNING:
            names = ("direction", "status", "started_at", "by", "host")
            running = {name: doc.get(name) for name in names}
            if doc.get(UNDOING):
                running["status"] = UNDOING
            attempts += (running,)
        return attempts


def _entry(doc: Doc) -> Entry:
    """Return a document as an entry; raise IntegrityError if it is not one."""
    try:
        return _as_entry(doc)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            "The journal in MongoDB has a document that does not belong to it: "
            f"its _id is {doc['_id']!r}",
            where=f"{COLLECTION}: {type(error).__name__}: {error}",
            hint="Restore it; or delete it, and record the revision of the "
            "database with: flask db-migrate stamp --backend mongo REVISION",
        ) from error


def _as_entry(doc: Doc) -> Entry:
    if not isinstance(doc["_id"], str):
        raise TypeError("an _id must be a revision id")
    return Entry(
        revision=doc["_id"],
        direction=Direction(doc.get("direction", "upgrade")),
        status=Status(doc["status"]),
        down_revision=tuple(doc.get("down_revision") or ()),
        description=doc.get("description", ""),
        started_at=doc.get("started_at"),
        finished_at=doc.get("finished_at"),
        applied_at=doc.get("applied_at"),
        duration_ms=doc.get("duration_ms"),
        checksum=doc.get("checksum"),
        by=doc.get("by"),
        host=doc.get("host"),
        error=doc.get("error"),
        stamped=bool(doc.get("stamped", False)),
        awaits_partner=bool(doc.get("awaits_partner", False)),
        partial=bool(doc.get("partial", False)),
        undoing=bool(doc.get(UNDOING, False)),
        notes=tuple(map(str, doc.get("notes") or ())),
    )


def completed(
    db: Database[Any], attempts: Collection[tuple[str, Direction]]
) -> list[tuple[str, Direction]]:
    """Return which of these attempts are complete on both sides.

    A run that was killed may have left their records.
    """
    ended = {
        Direction.UPGRADE: Status.APPLIED,
        Direction.DOWNGRADE: Status.ROLLED_BACK,
    }
    query = {"_id": {"$in": [revision for revision, _ in attempts]}}
    entries = {
        doc["_id"]: _entry(doc)
        for doc in durable(db)[COLLECTION].find(query, {"history": False})
    }
    return [
        (revision, direction)
        for revision, direction in attempts
        if (entry := entries.get(revision)) is not None
        and not entry.open
        and (entry.direction, entry.status) == (direction, ended[direction])
    ]
