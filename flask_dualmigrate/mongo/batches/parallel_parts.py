"""Walking parts of the `_id` range in parallel, each with its own checkpoint."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from typing import Any

from pymongo.client_session import ClientSession

from ...backend import Progress
from ...ops import BATCH_SIZE
from ..journal.step_record import StepRecord
from ..server.best_effort import estimated_count
from ..server.time_limit import unhurried
from .pace import Recent
from .step_under_way import Work
from .walk import Walk

_SAMPLES_A_PART = 100
"""Documents sampled for each part, so that the parts are of about equal size."""


def walk_in_parts(work: Work, walk: Walk, walk_on: Callable[[Work], None]) -> bool:
    """Walk the first round of a walk in parts; False if it is not split.

    walk_on: walks one part to its end. Parts that an earlier run began are continued as
    they are, whatever `workers` says now.
    """
    place = work.record.checkpoint
    if "parts" in place:
        parts = work.bench.store.load_parts(work.record)
    elif walk.workers > 1 and "last" not in place and not place.get("round"):
        parts = _split(work, walk)
    else:
        return False
    if not parts:
        return False
    _run(work, walk, parts, walk_on)
    return True


def join_parts(work: Work, walk: Walk) -> None:
    """Join the parts into one walk, which continues where the last part ended."""
    parts = work.bench.store.load_parts(work.record)
    place: dict[str, Any] = {"phase": walk.phase, "round": 0}
    if "last" in parts[-1].checkpoint:
        place["last"] = parts[-1].checkpoint["last"]

    def attempt(session: ClientSession) -> None:
        work.bench.store.remove_parts(work.record, session)
        work.checkpoint(
            session,
            place,
            documents=sum(part.documents for part in parts),
            batches=sum(part.batches for part in parts),
        )

    work.transact(attempt)


def _split(work: Work, walk: Walk) -> tuple[StepRecord, ...]:
    """Write the records of the parts, each with the range it has to walk.

    A small collection is not split. The boundaries are sampled documents; the server
    takes the sample without reading the collection. Source: MongoDB manual, $sample.
    """
    target = work.db[walk.collection]
    if estimated_count(target) < walk.workers * BATCH_SIZE:
        return ()
    stages: list[Mapping[str, Any]] = [
        {"$sample": {"size": walk.workers * _SAMPLES_A_PART}},
        {"$sort": {"_id": 1}},
        {"$project": {"_id": True}},
    ]
    ids = [document["_id"] for document in target.aggregate(stages)]
    if not ids:  # it was emptied, and the count is an estimate
        return ()
    bounds = [
        ids[number * len(ids) // walk.workers] for number in range(1, walk.workers)
    ]

    def attempt(session: ClientSession) -> None:
        work.bench.store.add_parts(work.record, [*_ranges(bounds)], session)
        place = {"phase": walk.phase, "parts": walk.workers}
        work.checkpoint(session, place, documents=0)

    work.transact(attempt)
    return work.bench.store.load_parts(work.record)


def _ranges(bounds: Sequence[Any]) -> Iterator[dict[str, Any]]:
    place: dict[str, Any] = {}
    for bound in bounds:
        yield {**place, "until": bound}
        place = {"last": bound}
    yield place


def _run(
    work: Work,
    walk: Walk,
    parts: Sequence[StepRecord],
    walk_on: Callable[[Work], None],
) -> None:
    """Walk the parts in threads; the first error stops them all between batches."""
    stopped, tally = threading.Event(), _Tally(work, parts)
    left = [part for part in parts if not part.checkpoint.get("ended")]

    def one(part: Work) -> None:
        try:
            with unhurried(part.db.client):
                walk_on(part)
                _end(part, walk)
        except BaseException:
            stopped.set()
            raise

    with ExitStack() as stack:
        client = work.db.client
        sessions = [
            stack.enter_context(client.start_session(causal_consistency=False))
            for _ in left
        ]
        work.bench.store.enlist([session.session_id for session in sessions])
        pool = stack.enter_context(ThreadPoolExecutor(max(1, len(left))))
        stack.callback(stopped.set)  # before the pool waits, if we are interrupted
        futures = [
            pool.submit(one, _part(work, record, session, tally, stopped))
            for record, session in zip(left, sessions, strict=True)
        ]
        wait(futures)
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
        raise error


def _end(part: Work, walk: Walk) -> None:
    """Record that a part reached its end, and which range after it was empty then."""
    place = part.record.checkpoint

    def attempt(session: ClientSession) -> None:
        if walk.remembers and "until" in place:
            reach = {key: place[key] for key in ("last", "until") if key in place}
            part.bench.touched.add(part.record, (), session, reach=reach)
        part.checkpoint(session, {**place, "ended": True}, documents=0)

    part.transact(attempt)


def _part(
    work: Work,
    record: StepRecord,
    session: ClientSession,
    tally: _Tally,
    stopped: threading.Event,
) -> Work:
    """Return the Work of a part: it counts towards the whole, and stops with it."""

    def keep_going() -> None:
        if stopped.is_set():
            raise _Stopped
        work.bench.keep_going()

    bench = dataclasses.replace(
        work.bench, keep_going=keep_going, on_progress=partial(tally.count, record.part)
    )
    return Work(bench, record, session)


class _Tally:
    """Reports the progress of all parts together."""

    def __init__(self, work: Work, parts: Sequence[StepRecord]) -> None:
        self._work = work
        self._done = {part.part: part.documents for part in parts}
        self._recent = Recent(sum(self._done.values()))
        self._lock = threading.Lock()

    def count(self, part: int | None, progress: Progress) -> None:
        with self._lock:
            self._done[part] = progress.done
            done, record = sum(self._done.values()), self._work.record
            whole = dataclasses.replace(
                progress,
                done=record.documents + done,
                total=record.total,
                rate=self._recent.rate(done),
            )
            self._work.bench.on_progress(whole)


class _Stopped(Exception):
    """Raised to stop a part between two batches because another part failed."""
