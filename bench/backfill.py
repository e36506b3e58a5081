"""One field of many documents changed: batched and checkpointed, or otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.collection import Collection

from flask_dualmigrate import init, stamp, upgrade

from .apps import Parts, Urls, a_migrated_app, an_app
from .databases import Databases
from .footprint import footprint_of
from .measure import Act, Comparison, Contender, Timing, take_turns

COLLECTION = "item"
_SHARE = 100
_BULK = 1_000
_MARKED = {"seen": {"$exists": False}}
_MARK = {"$inc": {"n": 1}, "$set": {"seen": 1}}

Documents = Collection[dict[str, Any]]

_SCRIPT = """\
revision = "backfill"
down_revision = None


def upgrade(op):
    op.update("item", {arguments})
"""
_OPERATIONS = {
    "op.update": '{}, {"$inc": {"n": 1}}',
    "op.update, workers=2": '{}, {"$inc": {"n": 1}}, workers=2',
    "op.update of what is not marked": f"{_MARKED}, {_MARK}",
}
_ALEMBIC_SCRIPT = """\
revision = "backfill"
down_revision = None


def upgrade():
    pass
"""


@dataclass(frozen=True)
class Place:
    """Where the documents are; root: the folder of the migrations directories."""

    urls: Urls
    root: Path
    documents: int

    def tree(self, name: str) -> Path:
        return self.root / name.replace(" ", "_")


def run(databases: Databases, *, quick: bool) -> Iterator[Comparison]:
    """Compare speed, memory and transactions over one collection."""
    documents, rounds = (10_000, 2) if quick else (1_000_000, 3)
    with databases.mongo() as mongo_uri:
        place = Place(Urls(mongo=mongo_uri), databases.new_folder(), documents)
        _fill(place)
        for job, contenders in _jobs(place).items():
            timings = take_turns(contenders, rounds=rounds)
            measured = tuple(map(_with_footprint, timings, contenders))
            yield Comparison("backfill", job, measured, documents)


def _jobs(place: Place) -> dict[str, list[Contender]]:
    """Return what is done, in words -> who does it."""
    size = f"{place.documents:,} documents of 300 bytes"
    bare = Contender("one bare update_many", partial(_by_driver, place, _update_many))
    marking = Contender(
        "one bare update_many",
        partial(_by_driver, place, _update_unmarked, unmark=True),
    )
    each = Contender(
        f"find + update_one ({_SHARE}th part, scaled up)",
        partial(_by_driver, place, _update_each, share=_SHARE),
        share=1 / _SHARE,
    )
    bulk = Contender(
        f"bulk_write of {_BULK:,}", partial(_by_driver, place, _bulk_write)
    )
    ours = {
        name: Contender(
            f"DualMigrate, {name}", partial(_by_operation, place, name), ours=True
        )
        for name in _OPERATIONS
    }
    *of_all, of_marked = ours.values()
    return {
        f"$inc on {size}": [*of_all, bare, bulk, each],
        f"$inc, and a mark that the filter excludes, on {size}": [of_marked, marking],
    }


def a_document(number: int) -> dict[str, Any]:
    """Return a document of 300 bytes."""
    return {
        "_id": ObjectId(),
        "name": f"item {number:08}",
        "n": 0,
        "price": 12.5,
        "tags": ["new", "used"],
        "place": {"floor": 1, "room": 12},
        "text": "x" * 154,
    }


def _fill(place: Place) -> None:
    with an_app(place.urls) as parts:
        for first in range(0, place.documents, _BULK):
            numbers = range(first, first + _BULK)
            parts.mongo_db[COLLECTION].insert_many(map(a_document, numbers))
    for name, arguments in _OPERATIONS.items():
        root = place.tree(name)
        with a_migrated_app(root, place.urls):
            init()
            _write(root, "mongo", _SCRIPT.replace("{arguments}", arguments))
            _write(root, "postgres", _ALEMBIC_SCRIPT)
            init()


def _write(root: Path, side: str, source: str) -> None:
    (root / side / "versions" / "backfill.py").write_text(source)


def _with_footprint(timing: Timing, contender: Contender) -> Timing:
    return dataclasses.replace(timing, footprint=footprint_of(contender.arrange))


@contextmanager
def _by_operation(place: Place, name: str) -> Iterator[Act]:
    with a_migrated_app(place.tree(name), place.urls) as parts:
        stamp(revision="base")
        if str(_MARKED) in _OPERATIONS[name]:
            _unmark(parts)
        with _seen_to_be_done(parts, place.documents):
            yield upgrade


@contextmanager
def _by_driver(
    place: Place, update: Any, *, share: int = 1, unmark: bool = False
) -> Iterator[Act]:
    with an_app(place.urls) as parts:
        if unmark:
            _unmark(parts)
        count = place.documents // share
        with _seen_to_be_done(parts, count):
            yield partial(update, parts.mongo_db[COLLECTION], count)


def _unmark(parts: Parts) -> None:
    parts.mongo_db[COLLECTION].update_many({}, {"$unset": {"seen": ""}})


@contextmanager
def _seen_to_be_done(parts: Parts, count: int) -> Iterator[None]:
    """See that the sum of `n` grew by one a document: none left out, none twice."""
    documents = parts.mongo_db[COLLECTION]
    before = _sum(documents)
    yield
    grown = _sum(documents) - before
    if grown != count:
        raise RuntimeError(f"{grown} documents were updated, not {count}")


def _sum(documents: Documents) -> int:
    group = {"_id": None, "sum": {"$sum": "$n"}}
    return sum(int(found["sum"]) for found in documents.aggregate([{"$group": group}]))


def _update_many(documents: Documents, count: int) -> None:
    documents.update_many({}, {"$inc": {"n": 1}})


def _update_unmarked(documents: Documents, count: int) -> None:
    documents.update_many(_MARKED, _MARK)


def _update_each(documents: Documents, count: int) -> None:
    for document in documents.find().limit(count):
        documents.update_one({"_id": document["_id"]}, {"$inc": {"n": 1}})


def _bulk_write(documents: Documents, count: int) -> None:
    updates: list[UpdateOne] = []
    for document in documents.find({}, {"_id": True}):
        updates.append(UpdateOne({"_id": document["_id"]}, {"$inc": {"n": 1}}))
        if len(updates) == _BULK:
            documents.bulk_write(updates, ordered=False)
            updates = []
    if updates:
        documents.bulk_write(updates, ordered=False)
