"""Running operations on a database of the test's own, and stopping them on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from flask_dualmigrate.mongo.journal.results import Reverted, RunResult
from flask_dualmigrate.mongo.run.runner import OperationRunner
from flask_dualmigrate.ops import Operation
from flask_dualmigrate.revisions import Direction

REVISION = "r1"
UP, DOWN = Direction.UPGRADE, Direction.DOWNGRADE
Db = Database[Any]


class Stopped(Exception):
    """What `StopAfter` raises."""


class StopAfter:
    """A `keep_going` that raises after it was asked `calls` times."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Stopped


def run(db: Db, *operations: Operation, direction: Direction = UP) -> RunResult:
    return OperationRunner(db).run(REVISION, direction, operations)


def revert(db: Db, *operations: Operation, direction: Direction = UP) -> Reverted:
    return OperationRunner(db).revert(REVISION, direction, operations)


def settle(db: Db, direction: Direction = UP) -> None:
    OperationRunner(db).settle((REVISION, direction))


def complete(db: Db, *operations: Operation, direction: Direction = UP) -> RunResult:
    """Run and settle, as when both sides of a revision are done."""
    result = run(db, *operations, direction=direction)
    settle(db, direction)
    return result


def run_stopped(
    db: Db,
    calls: int,
    *operations: Operation,
    direction: Direction = UP,
    act: Callable[..., object] = OperationRunner.run,
) -> bool:
    """Run until `keep_going` was asked so often; return True if it was stopped."""
    try:
        runner = OperationRunner(db, keep_going=StopAfter(calls))
        act(runner, REVISION, direction, operations)
    except Stopped:
        return True
    return False


revert_stopped = partial(run_stopped, act=OperationRunner.revert)


def documents_of(collection: Collection[Any]) -> Any:
    """Return the bytes of a collection's documents, in the order of their `_id`s."""
    raw = CodecOptions(document_class=RawBSONDocument)
    found = collection.with_options(codec_options=raw).find().sort("_id")
    return [document.raw for document in found]


def digest_of(collection: Collection[Any]) -> Any:
    """Return a digest of what `documents_of` gives, for more than a test can hold."""
    digest = hashlib.sha256()
    for batch in collection.find_raw_batches().sort("_id"):
        digest.update(batch)
    return digest.hexdigest()


def image(
    db: Db, content: Callable[[Collection[Any]], Any] = documents_of
) -> dict[str, Any]:
    """Return what a database holds, byte for byte, without our own collections.

    collMod cannot take the level and the action of a validator away again: without a
    validator they say nothing.
    """
    found = {}
    for info in db.list_collections():
        name, options, is_view = info["name"], info["options"], info["type"] == "view"
        if name.startswith(("_migrations", "_aside_", "system.")):
            continue
        if not options.get("validator"):
            options = {
                key: value
                for key, value in options.items()
                if not key.startswith("validat")
            }
        indexes = [] if is_view else [dict(spec) for spec in db[name].list_indexes()]
        indexes.sort(key=itemgetter("name"))
        found[name] = (options, indexes, content(db[name]))
    return found


def image_after(
    db: Db, seed: Callable[[Db], None], *operations: Operation
) -> dict[str, Any]:
    """Return the image of a seeded database that ran without a stop; it is removed."""
    client: MongoClient[dict[str, Any]] = db.client
    other = client.get_database(f"{db.name}_other")
    try:
        seed(other)
        run(other, *operations)
        return image(other)
    finally:
        client.drop_database(other.name)


def our_asides(db: Db) -> list[str]:
    """Return the names of the asides that hold something."""
    names = db.list_collection_names(filter={"name": {"$regex": "^_aside_"}})
    return sorted(set(names) - {"_aside_catalog"})


def clear(db: Db) -> None:
    """Empty a database, and seed it no more: a test does many rounds on one."""
    db.client.drop_database(db.name)
