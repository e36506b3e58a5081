"""Restoring MongoDB from a backup: fill side collections, compare, rename over.

What cannot be renamed (views, time series) is recreated from the record or from a side
collection, as often as it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from ...backend import Progress
from ...backend.restorer import Kept, Replacement, Unfinished
from ...backups import Manifest
from ...errors import DatabaseUnavailable, IntegrityError
from ...revisions import BackendName
from ...runtime.crashpoints import around, reached
from ..asides.aside import CATALOG
from ..journal.meta import COLLECTION as META
from ..lock.lock import COLLECTION as LOCK
from ..lock.lock import MongoLock
from ..server.errors import driver_errors, first_line
from ..server.time_limit import takes_its_time
from ..server.views import (
    collection_info,
    command,
    exact_view,
    index_specs,
    native,
    same_bson,
)
from .put_in import put_in
from .record import SIDE, Put, RestoreRecord
from .stored import Stored, StoredCollections
from .switch import finish

_NOT_RENAMED = "system."


class MongoRestorer:
    """Restores the collections of one backup, or all that a database had.

    partner: PostgreSQL is restored with it. lock: held by the caller while it runs.
    """

    atomic = False

    def __init__(
        self,
        db: Database[Any],
        stored: StoredCollections,
        manifest: Manifest,
        *,
        partner: bool,
        lock: MongoLock,
        keep_going: Callable[[], None],
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._app_db = db
        self._db = exact_view(db)
        self._stored = stored
        self._manifest = manifest
        self._partner = partner
        self._lock = lock
        self._require_lock = lock.require
        self._keep_going = keep_going
        self._on_progress = on_progress or (lambda progress: None)
        self._record = RestoreRecord(db)

    @property
    def _wanted(self) -> list[Stored]:
        """What is restored, views last: they read the others."""
        found = [each for each in self._stored.all.values() if not _is_kept(each.name)]
        return sorted(found, key=lambda each: (each.kind == "view", each.name))

    def check(self) -> None:
        self._stored.check()

    @takes_its_time
    def replacements(self) -> tuple[Replacement, ...]:
        then = {
            stored.name: self._stored.count(stored)
            for stored in self._wanted
            if stored.kind != "view"
        }
        with driver_errors("count documents"):
            now = {
                name: self._db[name].count_documents({})
                for name in sorted(then.keys() | set(self._made_since()))
                if (info := collection_info(self._db, name)) is not None
                and info["type"] != "view"
            }
        return tuple(
            Replacement(BackendName.MONGO, name, now.get(name), then.get(name))
            for name in sorted(then.keys() | now.keys())
            if not name.startswith(("_migrations", CATALOG))
        )

    def _made_since(self) -> list[str]:
        """Return the existing collections that must be removed."""
        there = [
            name
            for name in self._db.list_collection_names()
            if not name.startswith(_NOT_RENAMED) and not _is_kept(name)
        ]
        stored = self._stored
        everything = stored.part.collections is None
        return [
            name
            for name in there
            if name not in stored.all
            and not name.startswith("_aside_")
            and (everything or name in stored.made or name.startswith("_migrations"))
        ]

    @takes_its_time
    def load(self, mark: str) -> None:
        """Fill the side collections, and check that everything is in them."""
        self._require_lock()
        unfinished = Unfinished(mark, self._manifest.name, False, self._partner)
        with driver_errors("be restored"):
            self._record.begin(unfinished)
            self._drop_sides()
            puts = [
                self._load(number, stored)
                for number, stored in enumerate(self._wanted, 1)
            ]
            self._require_lock()
            first = (*self._manifest.plan, "restore")[0]
            self._record.loaded(puts, self._made_since(), first)

    @around("mongo.restore.tidy")
    def _drop_sides(self) -> None:
        for name in self._db.list_collection_names():
            if name.startswith(SIDE):
                self._require_lock()
                self._db.drop_collection(name)

    def _load(self, number: int, stored: Stored) -> Put:
        self._keep_going()
        self._require_lock()
        if stored.kind == "view":
            return Put(stored.name, "view", options=stored.options)
        side = f"{SIDE}{number:04}"
        renamed = stored.kind == "collection" and not stored.name.startswith(
            _NOT_RENAMED
        )
        options = stored.options if renamed else {}
        command(self._db, {"create": side, **options})
        reached("mongo.restore.side")
        self._fill(stored, side, bypass="validator" in options)
        reached("mongo.restore.filled")
        if renamed:
            self._build(stored, side)
            return Put(stored.name, "rename", side)
        return Put(stored.name, "copy", side, stored.data, stored.options, stored.built)

    def _fill(self, stored: Stored, side: str, *, bypass: bool) -> None:
        total, began = self._stored.count(stored), time.monotonic()

        def report(done: int, *, ended: bool = False) -> None:
            took_s = time.monotonic() - began
            self._on_progress(
                Progress(
                    revision="",
                    step=-1,
                    verb="restore",
                    subject=stored.name,
                    done=done,
                    total=total,
                    rate=done / took_s if took_s else None,
                    ended=ended,
                )
            )

        def on_batch(done: int) -> None:
            self._require_lock()
            self._keep_going()
            report(done)

        done = put_in(
            self._db,
            side,
            self._stored.batches(stored),
            bypass=bypass,
            on_batch=on_batch,
        )
        # By what this server has now: the batches need not have replicated yet.
        local = native(self._db, side).with_options(read_concern=ReadConcern("local"))
        there = local.count_documents({})
        if not done == there == total:
            raise IntegrityError(
                f"{stored.name} has {there} documents in its side collection, "
                f"but the backup has {total}",
                hint="Nothing was changed. See: flask db-migrate backup verify",
            )
        report(done, ended=True)

    def _build(self, stored: Stored, side: str) -> None:
        """Build the indexes, and check that they are as they were."""
        if stored.built:
            indexes = list(map(_index, stored.built))
            try:
                command(self._db, {"createIndexes": side, "indexes": indexes})
            except OperationFailure as error:
                raise DatabaseUnavailable(
                    f"An index of {stored.name} cannot be built: {first_line(error)}",
                    hint="Nothing was changed.",
                ) from error
        built = index_specs(self._db, side)
        for index in stored.built:
            if not _same_index(built.get(index["name"], {}), index):
                raise IntegrityError(
                    f"The index {index['name']} of {stored.name} is not as it was",
                    hint="Nothing was changed.",
                )

    @takes_its_time
    def discard(self, mark: str) -> None:
        with driver_errors("tidy up after a restore"):
            record = self._record.read()
            if record is None or record.unfinished.mark != mark:
                return
            if not record.unfinished.switching:
                self._drop_sides()
                self._record.end()

    @takes_its_time
    def switch(self, mark: str) -> tuple[Kept, ...]:
        """Rename everything into place; what is already done is not repeated."""
        return finish(self._app_db, self._lock, mark)


def _is_kept(name: str) -> bool:
    """Return whether a collection is never restored: it describes the present run."""
    return name in (LOCK, META) or name.startswith(SIDE)


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return what createIndexes takes; older servers also include the namespace."""
    return {key: value for key, value in index.items() if key != "ns"}


def _same_index(built: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    def essence(index: Mapping[str, Any]) -> list[Any]:
        keys: Iterable[Any] = [list(pair) for pair in index.get("key", {}).items()]
        rest = sorted((k, v) for k, v in index.items() if k not in ("key", "ns", "v"))
        return [list(keys), [list(pair) for pair in rest]]

    return same_bson(_loose(essence(built)), _loose(essence(wanted)))


def _loose(value: Any) -> Any:
    """Return a value with its numbers as floats: 1 and 1.0 are the same direction."""
    if isinstance(value, list | tuple):
        return [_loose(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _loose(item) for key, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return value
