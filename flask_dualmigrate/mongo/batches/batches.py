"""Walking a collection in batches, each one transaction with its own checkpoint.

Three ways: once, over a collection that no one else writes; repeatedly, until nothing
matches any more; and each document once, including those the app inserts meanwhile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from ..expressions.id_list import IdList
from ..expressions.listed_ids import listed_in
from ..expressions.ranges import Query
from ..journal.written_documents import batch_key
from ..server.views import as_bytes
from .conform import ids_left, refuse_if_any
from .inserted_meanwhile import alone_at, catch_up, catch_up_with, seen_alone
from .pace import Pace
from .parallel_parts import join_parts, walk_in_parts
from .refused_by_index import transact_but_refused
from .remember_writes import Write, write_batch
from .step_under_way import Work
from .walk import MOST_BYTES, Batch, Walk, end_of, read

_COUNT_MS = 2000
_ROUNDS = 100
_FEW = 10_000
"""The number of documents left after a round up to which their `_id`s are compared."""


def walk_once(work: Work, walk: Walk, write: Write, *, expected: bool = True) -> None:
    """Pass over a collection once, unless an earlier run completed that phase.

    expected: whether the progress counts its documents.
    """
    if _behind(work, walk):
        return
    walk = _as_stored(work, walk)
    if _do_at_once(work, walk, write, lambda batch: _end_of(walk)) is not None:
        return
    if expected:
        _expect(work, walk)
    pass_over(work, walk, write)
    _leave(work, walk)


def walk_until_none_left(
    work: Work,
    walk: Walk,
    write: Write,
    *,
    left: Query | None = None,
    problem: str,
) -> None:
    """Walk, count what is left, and walk again for what the app wrote meanwhile.

    left: what must not be there at the end; by default the walk's own query. An app
    that keeps writing such documents leaves some at the end of every round. Once only
    those written since the round began are left, and their number no longer falls, the
    walk is done, and a note says how many there are.
    Raises OperationError with up to five `_id`s if a round writes nothing and some are
    left. problem: the end of the error's sentence, "… documents of item {problem}".
    """
    if _behind(work, walk):
        return
    walk = _as_stored(work, walk)
    left = walk.query if left is None else left
    before: IdList | None = None
    # Whether any are left is yet to be seen; after a kill, a second round sees.
    second_round = {"phase": walk.phase, "round": 1}
    for _ in range(_ROUNDS):
        whole_round = not _is_under_way(work)
        alone = _do_at_once(work, walk, write, lambda batch: second_round)
        if alone is None:
            _expect(work, walk)
            written = pass_over(work, walk, write)
        else:
            written = work.record.documents
        now = ids_left(
            work,
            walk.collection,
            left,
            at_most=_FEW,
            exempt=walk.exempt,
            leaves_out=walk.leaves_out,
        )
        are_new = before is not None and set(now.keys).isdisjoint(before.keys)
        if not now or (are_new and len(before or ()) <= len(now) < _FEW):
            if now:
                work.note(
                    f"Documents of {walk.collection} that were written meanwhile "
                    f"{problem}: {len(now)}. The app keeps writing such documents"
                )
            if alone is None:
                _leave(work, walk)
            return
        if whole_round and not written and before is not None and not are_new:
            break
        before = now
        number = work.record.checkpoint.get("round", 0) + 1
        work.save(checkpoint={"phase": walk.phase, "round": number})
    refuse_if_any(
        work,
        walk.collection,
        left,
        problem=problem,
        exempt=walk.exempt,
        leaves_out=walk.leaves_out,
    )


def walk_each_once(work: Work, walk: Walk, write: Write) -> None:
    """Write each document once, including those the app inserts behind the walk.

    write: must `touch` its batch, unless it is alone: this identifies the documents
    that were not there yet when the walk passed.
    """
    if _behind(work, walk):
        return
    walk = dataclasses.replace(_as_stored(work, walk), remembers=True)
    key = batch_key(work.record)
    if seen_alone(work.record, walk.phase) is None:
        _do_at_once(work, walk, write, lambda batch: alone_at(batch, key))
    if seen_alone(work.record, walk.phase) is not None:
        catch_up_with(work, walk, write)
        return
    _expect(work, walk)
    pass_over(work, walk, write)
    catch_up(work, walk, write, go_on=lambda: pass_over(work, walk, write))
    _leave(work, walk)


def _behind(work: Work, walk: Walk) -> bool:
    """True if an earlier run completed a walk."""
    return bool(work.record.checkpoint.get("phase", 0) > walk.phase)


def _is_under_way(work: Work) -> bool:
    return not {"last", "parts"}.isdisjoint(work.record.checkpoint)


def _leave(work: Work, walk: Walk) -> None:
    work.save(checkpoint=_end_of(walk))


def _end_of(walk: Walk) -> Mapping[str, Any]:
    """Return the checkpoint of a step that is past a walk."""
    return {"phase": walk.phase + 1}


def pass_over(work: Work, walk: Walk, write: Write) -> int:
    """Walk on from the checkpoint; return how many documents were written."""
    before = work.record.documents
    if work.record.checkpoint.get("phase", 0) != walk.phase:
        work.save(checkpoint={"phase": walk.phase})
    walk = dataclasses.replace(walk, until=end_of(work, walk, {}))
    if walk_in_parts(work, walk, lambda part: walk_on(part, walk, write)):
        join_parts(work, walk)
    walk_on(work, walk, write)
    return work.record.documents - before


def _as_stored(work: Work, walk: Walk) -> Walk:
    """Return a walk that knows how its collection is stored."""
    found = work.bench.known.find(walk.collection)
    if found is None:
        return walk
    return dataclasses.replace(
        walk,
        clustered=found.is_clustered,
        odd_ids=not found.is_clustered and found.has_odd_ids,
        listed=None if "collation" in found.info["options"] else listed_in(walk.query),
        documents=found.size.documents,
        document_bytes=found.size.document_bytes,
    )


def _do_at_once(
    work: Work, walk: Walk, write: Write, place: Callable[[Batch], Mapping[str, Any]]
) -> Batch | None:
    """Process a small collection in one batch; None: it is not small, or under way.

    place: returns the checkpoint after it. If the collection has grown meanwhile, the
    walk continues from that batch.
    """
    pace, began = _pace_of(work, walk), _place_of(work, walk)
    if (
        _is_under_way(work)
        or began.get("round")
        or walk.odd_ids
        or walk.clustered
        or walk.workers > 1
        or walk.listed is not None
        or walk.documents > pace.size
        or walk.documents * walk.document_bytes >= MOST_BYTES
    ):
        return None

    def attempt(session: ClientSession) -> Batch | None:
        return _next_batch(work, walk, write, pace, session, at_end=place)

    batch = _transact_batch(work, walk, pace, attempt)
    if batch is not None:
        work.bench.replication.wait(work.bench.keep_going, is_long=False)
    elif not _is_under_way(work):
        batch = Batch.empty(walk)
        work.save(checkpoint=place(batch))
    return batch if batch is not None and batch.alone else None


def walk_on(work: Work, walk: Walk, write: Write) -> None:
    """Walk from the checkpoint of a step, or of a part of one, to its end."""
    pace = _pace_of(work, walk)

    def attempt(session: ClientSession) -> Batch | None:
        return _next_batch(work, walk, write, pace, session)

    while (batch := _transact_batch(work, walk, pace, attempt)) is not None:
        pace.took(pace.elapsed_s, id_bytes=len(as_bytes(batch.last)))
        work.bench.replication.wait(work.bench.keep_going)


def _pace_of(work: Work, walk: Walk) -> Pace:
    return Pace(
        most=walk.batch_size,
        seconds=work.bench.batch_seconds,
        document_bytes=walk.document_bytes,
    )


def _transact_batch(
    work: Work,
    walk: Walk,
    pace: Pace,
    attempt: Callable[[ClientSession], Batch | None],
) -> Batch | None:
    """Commit a batch; if a document cannot be written, as the walk's `on_refused`."""
    if walk.on_refused is None:
        return work.transact_some(pace, attempt, on_retry=pace.retry)

    def refuse() -> Batch | None:
        return work.transact(lambda session: _pass_one(work, walk, session))

    return transact_but_refused(work, pace, attempt, refuse, on_retry=pace.retry)


def _next_batch(
    work: Work,
    walk: Walk,
    write: Write,
    pace: Pace,
    session: ClientSession,
    *,
    at_end: Callable[[Batch], Mapping[str, Any]] | None = None,
) -> Batch | None:
    """Read, write and checkpoint one batch; None if there is none left.

    at_end: returns the checkpoint if this is the only one; None: there may be others.
    """
    pace.begin()
    place = _place_of(work, walk)
    batch = read(work, walk, place, size=pace.size, session=session)
    if batch is None:
        return None
    pace.tried = len(batch.ids) or pace.size
    if at_end is None or not batch.is_last:
        documents = write_batch(work, batch, write, session)
        work.checkpoint(session, {**place, "last": batch.last}, documents=documents)
        return batch
    batch = dataclasses.replace(batch, alone=True)
    documents = write_batch(work, batch, write, session)
    total = documents if work.record.total is None else work.record.total
    work.checkpoint(session, at_end(batch), documents=documents, total=total)
    return batch


def _place_of(work: Work, walk: Walk) -> Mapping[str, Any]:
    """Return how far a walk is: the checkpoint, unless that is of another walk."""
    place = work.record.checkpoint
    is_its_own = place.get("phase", 0) == walk.phase or work.record.part is not None
    return place if is_its_own else {"phase": walk.phase}


def _pass_one(work: Work, walk: Walk, session: ClientSession) -> Batch | None:
    """Handle the next document, which cannot be written, by the walk's `on_refused`."""
    place = _place_of(work, walk)
    batch = read(work, walk, place, size=1, session=session)
    if batch is not None and walk.on_refused is not None:
        walk.on_refused(work, batch, session)
        work.checkpoint(session, {**place, "last": batch.last}, documents=0)
    return batch


def _expect(work: Work, walk: Walk) -> None:
    """Count what a walk will pass over, for the progress, within a short time limit."""
    if work.record.total is not None:
        return
    target = work.db[walk.collection]
    try:
        if walk.query:
            total = target.count_documents(walk.query, maxTimeMS=_COUNT_MS)
        else:
            total = target.estimated_document_count(maxTimeMS=_COUNT_MS)
    except OperationFailure:  # it takes too long, or the server lacks the command
        return
    work.save(total=total)
    work.report()
