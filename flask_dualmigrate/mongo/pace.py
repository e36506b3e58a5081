"""How large the batches of a walk are."""

from __future__ import annotations

from ..ops import BATCH_SIZE

_MOST = 50_000
"""Documents in a batch at most: their `_id`s are sent in one document."""

_MOST_ID_BYTES = 8 * 1024 * 1024
_MOST_BYTES = 64 * 1024 * 1024
"""Bytes of documents in a batch at most: the server holds in memory what it writes."""

_SHARE = 0.8
"""A batch aims at this part of its time, so that few take longer than all of it."""


class Pace:
    """How many documents a batch has: as many as fit into the time that it may take.

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
        self.size = min(BATCH_SIZE if most is None else most, self._most)

    def took(self, elapsed_s: float, *, id_bytes: int) -> None:
        """Fit the size to how long a full batch took; at most twice it, or half.

        id_bytes: the length of its last `_id`.
        """
        if not self._seconds or elapsed_s <= 0:
            return
        fitting = self.size * self._seconds * _SHARE / elapsed_s
        size = max(self.size / 2, min(fitting, self.size * 2))
        self.size = max(1, min(int(size), self._most, _MOST_ID_BYTES // id_bytes))

    def retry(self) -> None:
        """Halve the size: the batch met a write of the app, and a smaller one may not.

        Source: MongoDB manual, transactions, "in-progress transactions and write
        conflicts".
        """
        self.size = max(1, self.size // 2)
