"""Catching up with what the app inserts behind a walk, each document once.

A walk follows `_id` order, and an app may insert below the point it has reached. Each
batch of the walk remembers the `_id`s it saw (Touched); a document within the batch's
bounds that matches and was not seen came later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from ..expressions.id_list import NONE, IdList, ids_stages
from ..expressions.ranges import Query, both, range_of
from ..expressions.raw_bson import as_document
from ..journal.step_record import StepRecord
from ..server.time_limit import unhurried
from .pace import Pace
from .remember_writes import Write, write_batch
from .step_under_way import Work
from .walk import Batch, Walk, read_some

_ROUNDS = 10
"""The maximum number of rounds, for an app that never stops inserting."""


@dataclasses.dataclass(frozen=True)
class _Tile:
    """A range of `_id`s that one batch walked over.

    key: of its entry in Touched. walk: the walk over it. query: finds what is in it.
    seen: how many `_id`s the entry has.
    """

    key: Mapping[str, Any]
    walk: Walk
    query: Query
    seen: int


def catch_up(work: Work, walk: Walk, write: Write, *, go_on: Callable[[], int]) -> None:
    """Go over the walked range, at least once, until a round finds nothing.

    go_on: continues from where the walk ended; returns how many documents it wrote.
    """
    for _ in range(_ROUNDS):
        found = sum(_catch_up_in(work, write, tile) for tile in _incomplete(work, walk))
        if not found + go_on():
            return


def catch_up_with(work: Work, walk: Walk, write: Write) -> None:
    """Write what was inserted since the only batch of a walk, until nothing is found.

    The checkpoint says which documents were seen: see `alone_at`.
    """
    target = work.db[walk.collection].with_options(read_concern=ReadConcern("local"))
    pace = Pace(most=walk.batch_size, seconds=0)

    def attempt(session: ClientSession) -> Batch | None:
        seen, key = (
            seen_alone(work.record, walk.phase) or NONE,
            work.record.checkpoint["of"],
        )
        query = both(walk.query, _none_of(seen))
        batch = read_some(work, walk, query, of=key, size=pace.size, session=session)
        if batch is None:
            return None
        batch = dataclasses.replace(batch, alone=True)
        documents = write_batch(work, batch, write, session)
        place = alone_at(batch, key, before=seen)
        work.checkpoint(session, place, documents=documents)
        return batch

    for _ in range(_ROUNDS):
        seen = seen_alone(work.record, walk.phase) or NONE
        there = _ids_there(target, walk.query, at_most=len(seen) + 1)
        if there is None or there == seen.named("ids"):
            return
        if work.transact_some(pace, attempt) is None:
            return


def alone_at(
    batch: Batch, key: Mapping[str, Any], *, before: IdList = NONE
) -> dict[str, Any]:
    """Return the checkpoint after the only batch of a walk: which documents it saw.

    key: of the batch's entry in Touched, if it has one. before: those seen before it.
    """
    seen = IdList.joined([before, batch.ids, batch.left_out])
    ids = RawBSONDocument(as_document(seen.named("ids")))
    return {"phase": batch.walk.phase, "alone": ids, "of": key}


def seen_alone(record: StepRecord, phase: int = 0) -> IdList | None:
    """Return which documents the only batch of a walk saw; None if there was none.

    phase: of the walk.
    """
    place = record.checkpoint
    if "alone" not in place or place.get("phase", 0) != phase:
        return None
    return IdList.like(place["alone"]["ids"])


def _incomplete(work: Work, walk: Walk) -> Iterator[_Tile]:
    """Yield the ranges that contain documents that were not seen.

    Most contain none; this is checked without a transaction, and in parallel.
    """
    target = work.db[walk.collection].with_options(read_concern=ReadConcern("local"))

    def look(tile: _Tile) -> bool:
        work.bench.keep_going()
        with unhurried(work.db.client):
            return _is_incomplete(work, target, tile)

    tiles = list(_tiles(work, walk))
    with ThreadPoolExecutor(max(2, walk.workers)) as pool:
        for tile, is_incomplete in zip(tiles, pool.map(look, tiles), strict=True):
            if is_incomplete:
                yield tile


def _is_incomplete(
    work: Work, target: Collection[RawBSONDocument], tile: _Tile
) -> bool:
    query = tile.query
    if _ids_there(target, query, at_most=tile.seen + 1) == _ids_seen(work, tile):
        return False
    query = both(query, _unseen(work, tile.key))
    return target.find_one(query, {"_id": True}) is not None


def _tiles(work: Work, walk: Walk) -> Iterator[_Tile]:
    """Yield the ranges that the batches of the walk covered."""
    for key, reach, count in work.bench.touched.reaches(work.record):
        part = walk.within(reach)
        yield _Tile(key, part, both(range_of(reach), part.query), count)


def _ids_there(
    target: Collection[RawBSONDocument], query: Query, *, at_most: int
) -> bytes | None:
    """Return the `_id`s that match now, as bytes; None for none.

    Left undecoded, this costs a third of querying for what is not among those seen.
    """
    stages = ids_stages(query, at_most=at_most)
    for found in target.aggregate(stages):
        return IdList.grouped(found).named("ids")
    return None


def _ids_seen(work: Work, tile: _Tile) -> bytes | None:
    """Return the `_id`s that a batch wrote, in the same form.

    Those that it saw and left alone are not included, nor those caught up later.
    """
    return work.bench.touched.raw_ids(tile.key) if tile.seen else None


def _catch_up_in(work: Work, write: Write, tile: _Tile) -> int:
    """Write the documents of one range that were not seen; return their number."""
    walk = tile.walk
    pace, caught_up = Pace(most=walk.batch_size, seconds=0), 0

    def attempt(session: ClientSession) -> int:
        query = both(tile.query, _unseen(work, tile.key, session))
        batch = read_some(
            work, walk, query, of=tile.key, size=pace.size, session=session
        )
        if batch is None:
            return 0
        documents = write_batch(work, batch, write, session)
        work.checkpoint(session, work.record.checkpoint, documents=documents)
        return len(batch.ids) + len(batch.left_out)

    while count := work.transact_some(pace, attempt):
        caught_up += count
    return caught_up


def _unseen(
    work: Work, key: Mapping[str, Any], session: ClientSession | None = None
) -> Query:
    return _none_of(work.bench.touched.seen(key, session))


def _none_of(ids: IdList) -> Query:
    return {"_id": RawBSONDocument(as_document(ids.named("$nin")))}
