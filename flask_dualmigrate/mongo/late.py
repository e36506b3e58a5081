"""Catching up what the app inserts behind a walk, each document once.

A walk goes by `_id`, and an app may insert below where it has come to. Each batch of
the walk remembers the `_id`s that it saw (Touched); what stands between two of its
bounds, matches, and was not seen, came later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.read_concern import ReadConcern

from ..ops import BATCH_SIZE
from .walk import Batch, Query, Walk, both, range_of, read_some
from .work import Work

_ROUNDS = 10
"""Rounds over what was walked at most: an app that never stops inserting."""

Write = Callable[[Work, Batch, ClientSession], int]


def catch_up(work: Work, walk: Walk, write: Write, *, go_on: Callable[[], int]) -> None:
    """Go over the walked range until a round finds nothing; once at least.

    go_on: walks on from where the walk ended; returns how many documents it wrote.
    """
    for _ in range(_ROUNDS):
        found = sum(_catch_up_in(work, walk, write, tile) for tile in _tiles(work))
        if not found + go_on():
            return


def _tiles(work: Work) -> Iterator[tuple[Any, Query]]:
    """Yield the key of each batch of the walk, and the range since the one before it.

    Together they cover all `_id`s up to the last one, in order.
    """
    place: dict[str, Any] = {}
    for key, last in work.bench.touched.bounds(work.record):
        place["until"] = last
        yield key, range_of(place)
        place = {"last": last}


def _catch_up_in(work: Work, walk: Walk, write: Write, tile: tuple[Any, Query]) -> int:
    """Write the documents of one range that were not seen; return how many."""
    key, reach = tile
    size, written = walk.batch_size or BATCH_SIZE, 0

    def attempt(session: ClientSession) -> int:
        query = both(reach, walk.query, _unseen(work, key, session))
        batch = read_some(work, walk, query, of=key, size=size, session=session)
        if batch is None:
            return 0
        documents = write(work, batch, session)
        work.checkpoint(session, work.record.checkpoint, documents=documents)
        return len(batch.ids)

    work.bench.keep_going()
    while _has_any(work, walk, both(reach, walk.query, _unseen(work, key))):
        written += work.transact(attempt)
    return written


def _unseen(
    work: Work, key: Mapping[str, Any], session: ClientSession | None = None
) -> Query:
    seen = work.bench.touched.seen(key, session)
    return {"_id": {"$nin": seen}}


def _has_any(work: Work, walk: Walk, query: Query) -> bool:
    """Look without a transaction, which most ranges do not need."""
    target = work.db[walk.collection].with_options(read_concern=ReadConcern("local"))
    return target.find_one(query, {"_id": True}) is not None
