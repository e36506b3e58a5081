"""Choosing how large the batches of a walk are."""

from __future__ import annotations

import time
from collections import deque

from ...ops import BATCH_SIZE

_MOST = 50_000
"""The maximum number of documents in a batch: their `_id`s are sent in one document."""

_MOST_ID_BYTES = 8 * 1024 * 1024
_MOST_BYTES = 64 * 1024 * 1024
"""The maximum size of a batch in bytes: the server holds what it writes in memory."""

_SHARE = 0.8
"""The fraction of its time that a batch aims at, so that few exceed it."""


_TOLD_APART = 0.2
"""The fraction by which two batch sizes must differ to derive the cost at any size."""

_CHANGED = 1.5
"""How many times longer or shorter a batch takes than the last one of its size."""


_RECENT_S = 60.0


class Pace:
    """How many documents a batch has: as many as fit in the time it may take.

    Each batch has a cost that does not depend on its size: round trips, the commit by a
    majority. If that uses up the time, a smaller batch is hardly shorter, and does
    less: the documents then get as much time as that fixed cost, and the batch takes
    longer than its time.

    tried: how many documents the last batch had, if known.
    most: documents, as the script says; None: begin with BATCH_SIZE and adapt.
    seconds: a batch's time; 0: its size stays as it is. document_bytes: the average of
    the collection.
    """

    def __init__(
        self, *, most: int | None, seconds: float, document_bytes: int = 1
    ) -> None:
        fitting = max(1, _MOST_BYTES // max(1, document_bytes))
        self._most = min(_MOST if most is None else most, fitting)
        self._seconds = seconds
        self._fixed_s = 0.0
        self._former = 0, 0.0
        self._began_s = 0.0
        self._whole = 0
        self.size = self.tried = min(BATCH_SIZE if most is None else most, self._most)

    def begin(self) -> None:
        """Note that a batch begins or is retried."""
        self._began_s = time.monotonic()
        self.tried = self.size

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def took(self, elapsed_s: float, *, id_bytes: int) -> None:
        """Fit the size to how long a full batch took, at most doubling or halving it.

        id_bytes: the length of the batch's last `_id`.
        """
        if not self._seconds or elapsed_s <= 0:
            return
        self._learn(elapsed_s)
        moving_s = max(self._seconds * _SHARE - self._fixed_s, self._fixed_s)
        fitting = self.size * moving_s / max(elapsed_s - self._fixed_s, elapsed_s / 100)
        size = max(self.size / 2, min(fitting, self.size * 2))
        self.size = max(1, min(int(size), self._most, _MOST_ID_BYTES // id_bytes))

    def _learn(self, elapsed_s: float) -> None:
        """Work out the fixed cost from two batches that differ in size.

        If two batches of one size differ in time, the server's speed has changed, and
        the fixed cost is unknown.
        """
        size, (former, former_s) = self.size, self._former
        if abs(size - former) < _TOLD_APART * former:
            if 1 / _CHANGED < elapsed_s / former_s < _CHANGED:
                return
            self._fixed_s = 0.0
        elif former:
            a_document_s = (elapsed_s - former_s) / (size - former)
            fixed_s = elapsed_s - a_document_s * size
            self._fixed_s = max(0.0, min(fixed_s, former_s, elapsed_s))
        self._former = size, elapsed_s

    def retry(self) -> None:
        """Halve the size: the batch met a write of the app; a smaller one may not.

        Source: MongoDB manual, transactions, "in-progress transactions and write
        conflicts".
        """
        self.size = max(1, self.size // 2)

    def refused(self) -> None:
        """Halve the size tried, for now: one of the documents cannot be written."""
        self._whole = max(self._whole, self.size)
        self.size = max(1, self.tried // 2)

    def passed(self) -> None:
        """Double a size that `refused` halved, up to its former value."""
        self.size = max(self.size, min(self.size * 2, self._whole))

    def outlived(self, share: float) -> None:
        """Fit the size to a batch that had time for only this share of its work."""
        self._whole = 0
        self.size = max(1, min(self.tried // 2, int(self.tried * share / 2)))


class Recent:
    """The rate of the last minute, in documents a second.

    documents: the count when it begins.
    """

    def __init__(self, documents: int) -> None:
        self._marks = deque([(time.monotonic(), documents)])

    def rate(self, documents: int) -> float | None:
        """Return the rate for the current count, which may also fall; None at first."""
        now = time.monotonic()
        while len(self._marks) > 1 and now - self._marks[1][0] >= _RECENT_S:
            self._marks.popleft()
        then, before = self._marks[0]
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, documents))
        return abs(documents - before) / (now - then) if now > then else None


def whole_batches() -> Pace:
    """Return a pace that keeps the former batch size until a batch takes too long."""
    return Pace(most=_MOST, seconds=0)
