"""Building, changing and dropping indexes of MongoDB, for the `index` commands.

A build outlives the client that requested it; a repeated request joins it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo.database import Database
from pymongo.errors import (
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from ...errors import DatabaseUnavailable, OperationError
from ...indexes import BuildProgress, OnBuild
from ...indexes.comparison import STAND_IN
from ...revisions import BackendName
from ..operations.shared.index_builds import index_error
from ..server.errors import NOT_ALLOWED, first_line, unreachable
from ..server.failures import INDEX_NOT_FOUND, NAMESPACE_NOT_FOUND
from ..server.views import NATIVE, command

Document = dict[str, Any]
_WATCH_S = 1.0


def build(
    db: Database[Any], place: str, spec: Mapping[str, Any], on_build: OnBuild
) -> None:
    """Build an index, reporting progress on the way.

    Raises OperationError that names what is in the way, or the duplicate key.
    """
    stop = threading.Event()
    watcher = threading.Thread(
        target=_watch_until,
        args=(stop, db, place, spec["name"], on_build),
        name="dualmigrate-index-build",
        daemon=True,
    )
    watcher.start()
    try:
        with driver_words(f"build the index {spec['name']} of {place}"):
            _create(db, place, spec)
    finally:
        stop.set()
        watcher.join()


def _create(db: Database[Any], place: str, spec: Mapping[str, Any]) -> None:
    try:
        command(db, {"createIndexes": place, "indexes": [dict(spec)]})
    except OperationFailure as error:
        # People know it by the name of the index it stands in for.
        named = {**spec, "name": spec["name"].removeprefix(STAND_IN)}
        reason = index_error(db, place, named, error)
        if reason is None:
            raise
        raise reason from error


def modify(
    db: Database[Any], place: str, name: str, changes: Mapping[str, Any]
) -> None:
    """Change the options that collMod can change: expireAfterSeconds, hidden."""
    with driver_words(f"change the index {name} of {place}"):
        command(db, {"collMod": place, "index": {"name": name, **changes}})


def drop(db: Database[Any], place: str, name: str) -> None:
    """Drop an index; one that is gone is fine."""
    with driver_words(f"drop the index {name} of {place}"):
        try:
            command(db, {"dropIndexes": place, "index": name})
        except OperationFailure as error:
            if error.code not in (INDEX_NOT_FOUND, NAMESPACE_NOT_FOUND):
                raise


@contextmanager
def driver_words(doing: str) -> Iterator[None]:
    """Turn what the driver raises into our errors; `doing` completes "could not …"."""
    try:
        yield
    except ConnectionFailure as error:
        raise unreachable(error) from error
    except OperationFailure as error:
        if error.code in NOT_ALLOWED:
            raise DatabaseUnavailable(
                f"MongoDB could not {doing}: {first_line(error)}",
                hint="Grant the user of MONGO_URI readWrite and dbAdmin.",
            ) from error
        raise OperationError(
            f"MongoDB could not {doing}: {first_line(error)}"
        ) from error
    except PyMongoError as error:
        raise OperationError(
            f"MongoDB could not {doing}: {first_line(error)}"
        ) from error


def _watch_until(
    stop: threading.Event, db: Database[Any], place: str, name: str, on_build: OnBuild
) -> None:
    while not stop.wait(_WATCH_S):
        watch(db, place, name, on_build)


def watch(db: Database[Any], place: str, name: str, on_build: OnBuild) -> None:
    """Report how far a build is according to $currentOp, if that says anything."""
    try:
        progress = _progress(db, place, name)
    except PyMongoError:
        return  # no privilege, or no answer: the build itself will report
    if progress is not None:
        on_build(progress)


def _progress(db: Database[Any], place: str, name: str) -> BuildProgress | None:
    admin = db.client.admin.with_options(codec_options=NATIVE)
    ours: Document = {"ns": f"{db.name}.{place}", "command.indexes.name": name}
    stages: list[Document] = [{"$currentOp": {"allUsers": True}}, {"$match": ours}]
    for operation in admin.aggregate(stages):
        phase, counted = _phase(str(operation.get("msg", "")))
        if not phase:
            continue
        progress = operation.get("progress") or {}
        return BuildProgress(
            BackendName.MONGO,
            place,
            name,
            phase,
            progress.get("done"),
            progress.get("total"),
            counted,
        )
    return None


def _phase(message: str) -> tuple[str, str]:
    """Return what a build is doing, and its current count.

    message: "Index Build: scanning collection Index Build: scanning collection: 3/9".
    """
    parts = [part.strip() for part in message.split("Index Build:") if part.strip()]
    phase = parts[0] if parts else ""
    return phase, "documents" if "scanning" in phase else "keys"
