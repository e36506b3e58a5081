"""Backing up MongoDB: raw BSON in mongodump's layout, as of one moment.

A snapshot session reads all collections as they were at one cluster time. The server
keeps this history for 300 seconds (minSnapshotHistoryWindowInSeconds); if it keeps
less, a transaction holds it open for as long as transactions may live, 60 seconds. A
standalone server keeps no history, and neither does a capped collection before MongoDB
8.0: these are read in whatever state they are in at the time.
Source: MongoDB manual, Read Concern "snapshot".
"""

from __future__ import annotations

import gzip
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from bson.json_util import CANONICAL_JSON_OPTIONS, dumps
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from ...backend import Dumped, Extent, Progress
from ...backups import BackedCollection, BackupFolder, MongoPart, Scope, layout
from ...errors import BackupError
from ..server.best_effort import ask, estimated_count
from ..server.errors import driver_errors
from ..server.views import NATIVE
from .extent import infos

_LEVEL = 1
"""The gzip level: twice as fast as the default, for a tenth more bytes."""

_PATIENCE_S = 15.0
_PAUSE_S = 0.25
_TOO_OLD = 239
_NOT_YET = 246
"""SnapshotTooOld, and SnapshotUnavailable: a collection was just changed."""

_ENDED = (251, 290)
"""NoSuchTransaction and TransactionExceededLifetimeLimitSeconds."""

_TRANSACTION_S = 50.0
"""A read that took longer does not fit into a transaction either."""

Info = Mapping[str, Any]


class MongoDump:
    """Writes one database into a backup; the caller holds the migration lock.

    has_snapshots: False on a standalone server. keep_going: called between batches,
    raises when the run must stop. on_progress: called after each batch.
    """

    def __init__(
        self,
        db: Database[Any],
        *,
        has_snapshots: bool,
        keep_going: Callable[[], None],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._db = db.client.get_database(
            db.name,
            codec_options=NATIVE,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern(),
        )
        self._has_snapshots = has_snapshots
        self._keep_going = keep_going
        self._on_progress = on_progress or (lambda progress: None)

    def write(
        self, folder: BackupFolder, extent: Extent, applied: Sequence[str]
    ) -> Dumped:
        """Write the documents, the options and the indexes of the named collections."""
        wanted = {item.name for item in extent.items if item.existed}
        with driver_errors("be backed up"):
            found = [info for info in infos(self._db) if info["name"] in wanted]
            build = ask(self._db.client.admin, {"buildInfo": 1}) or {}
            counts, cluster_time = self._write_all(folder, found)
        listed = tuple(
            BackedCollection(item.name, counts.get(item.name, 0), item.name in counts)
            for item in extent.items
        )
        collections = None if extent.scope is Scope.ALL else listed
        part = MongoPart(self._db.name, tuple(applied), collections, cluster_time)
        return Dumped(part, {"mongo": str(build.get("version", "unknown"))})

    def _write_all(
        self, folder: BackupFolder, found: Sequence[Info]
    ) -> tuple[dict[str, int], tuple[int, int] | None]:
        """Write collections; return how many documents each has, and the moment."""
        began = time.monotonic()
        try:
            return self._write_at(folder, found, in_transaction=False)
        except OperationFailure as error:
            took_s = time.monotonic() - began
            if error.code != _TOO_OLD or took_s > _TRANSACTION_S:
                raise _of_snapshot(error) from error
        folder.discard(f"mongo/{self._db.name}/")
        try:
            return self._write_at(folder, found, in_transaction=True)
        except OperationFailure as error:
            raise _of_snapshot(error) from error

    def _write_at(
        self, folder: BackupFolder, found: Sequence[Info], *, in_transaction: bool
    ) -> tuple[dict[str, int], tuple[int, int] | None]:
        with self._moment(found, in_transaction=in_transaction) as session:
            counts = {str(i["name"]): self._write(folder, i, session) for i in found}
            return counts, _time_of(session)

    @contextmanager
    def _moment(
        self, found: Sequence[Info], *, in_transaction: bool
    ) -> Iterator[ClientSession | None]:
        """Yield a session whose reads see one moment; None if the server has none."""
        if not self._has_snapshots:
            yield None
            return
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with ExitStack() as stack:
                session = stack.enter_context(
                    self._db.client.start_session(snapshot=not in_transaction)
                )
                if in_transaction:
                    stack.callback(_end, session)
                    session.start_transaction(read_concern=ReadConcern("snapshot"))
                if self._can_read(found, session, deadline):
                    yield session
                    return
            self._keep_going()
            time.sleep(_PAUSE_S)

    def _can_read(
        self, found: Sequence[Info], session: ClientSession, deadline: float
    ) -> bool:
        """Return whether all collections can be read as they were at this moment.

        A collection that was made or changed a moment ago cannot; a later moment is
        then tried.
        """
        try:
            for info in found:
                if _in_snapshots(info):
                    self._data(info).find_one({}, {"_id": True}, session=session)
        except OperationFailure as error:
            if error.code != _NOT_YET or time.monotonic() > deadline:
                raise
            return False
        return True

    def _data(self, info: Info) -> Collection[dict[str, Any]]:
        """Return the collection that holds the documents: a time series has buckets."""
        is_series = info["type"] == "timeseries"
        return self._db[f"{layout.BUCKETS if is_series else ''}{info['name']}"]

    def _write(
        self, folder: BackupFolder, info: Info, session: ClientSession | None
    ) -> int:
        """Write one collection; return how many documents it has."""
        count = 0
        if info["type"] != "view":
            count = self._write_documents(folder, info, session)
        path = layout.mongo_metadata(self._db.name, info["name"])
        with folder.new_file(path) as file:
            file.write(gzip.compress(self._metadata(info), _LEVEL, mtime=0))
        return count

    def _write_documents(
        self, folder: BackupFolder, info: Info, session: ClientSession | None
    ) -> int:
        data, began = self._data(info), time.monotonic()
        total = estimated_count(data)
        done = 0
        in_snapshot = session if _in_snapshots(info) else None
        with (
            folder.new_file(layout.mongo_data(self._db.name, data.name)) as file,
            gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed,
            data.find_raw_batches({}, session=in_snapshot) as batches,
        ):
            batch: Any  # bytes: PyMongo types it as a document
            for batch in batches:
                self._keep_going()
                packed.write(batch)
                done += _count(batch)
                self._tell(info["name"], done, total, began)
        self._tell(info["name"], done, total, began, ended=True)
        return done

    def _metadata(self, info: Info) -> bytes:
        """Return what mongodump writes next to the documents.

        Source: mongodb/mongo-tools, mongodump/metadata_dump.go.
        """
        is_view = info["type"] == "view"
        indexes: Any = () if is_view else self._db[info["name"]].list_indexes()
        facts = {
            "options": info["options"],
            "indexes": [dict(index) for index in indexes],
            "uuid": bytes(info["info"]["uuid"]).hex() if "uuid" in info["info"] else "",
            "collectionName": info["name"],
            "type": info["type"],
        }
        return dumps(facts, json_options=CANONICAL_JSON_OPTIONS).encode()

    def _tell(
        self, name: str, done: int, total: int, began: float, *, ended: bool = False
    ) -> None:
        took_s = time.monotonic() - began
        self._on_progress(
            Progress(
                revision="",
                step=-1,
                verb="back up",
                subject=name,
                done=done,
                total=max(total, done),
                rate=done / took_s if took_s else None,
                ended=ended,
            )
        )


def _in_snapshots(info: Info) -> bool:
    return info["type"] != "view" and not info["options"].get("capped")


def _count(batch: bytes) -> int:
    """Count the documents in a batch, each of which begins with its length."""
    count = at = 0
    while at < len(batch):
        (size_bytes,) = struct.unpack_from("<i", batch, at)
        at += size_bytes
        count += 1
    return count


def _time_of(session: ClientSession | None) -> tuple[int, int] | None:
    """Return the moment of a snapshot; PyMongo before 4.16 has no name for it."""
    if session is None:
        return None
    moment = getattr(session, "_snapshot_time", None) or session.operation_time
    return None if moment is None else (moment.time, moment.inc)


def _end(session: ClientSession) -> None:
    if session.in_transaction:
        session.abort_transaction()


def _of_snapshot(error: OperationFailure) -> Exception:
    if error.code in (_TOO_OLD, *_ENDED):
        return BackupError(
            "The backup of MongoDB took longer than the server keeps a "
            "snapshot; nothing was migrated",
            hint="Raise its parameter minSnapshotHistoryWindowInSeconds (300 by "
            "default), or make the backup by other means and use --no-backup.",
        )
    if error.code == _NOT_YET:
        return BackupError(
            "Collections were created or changed while MongoDB was being "
            "backed up; nothing was migrated",
            hint="Run the same command again.",
        )
    return error
