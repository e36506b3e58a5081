"""Reporting what a run waits for: who holds the lock, since when, and how far it is.

The lock of one side shows its holder; the revision and its progress are in the
journals. So a wait at PostgreSQL reads MongoDB's journal too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..backend import Journal, Journals
from ..backend.holder import Holder
from ..backend.journal import Entry
from ..backend.progress import how_far
from ..revisions import BackendName

_AGAIN_S = 30.0
"""Seconds between two reports, which include the progress made meanwhile."""


class Waiting:
    """Is called about once a second with a lock's holder; reports when it matters.

    That is: at once, when the holder changes, when it is gone, when another revision
    begins, and every half a minute.
    """

    def __init__(
        self, side: BackendName, journals: Journals, say: Callable[[str], None]
    ) -> None:
        self._side = side
        self._journals = journals
        self._say = say
        self._said: tuple[str, ...] | None = None
        self._again_at = 0.0

    def __call__(self, holder: Holder | None) -> None:
        if holder is None:
            return  # it was just released; this run or another will take it
        at = [_what(entry) for _, entry in _open_entries(self._journals)]
        gone = _gone(holder)
        subject = (holder.who, holder.key, *gone, *at)
        now = time.monotonic()
        if subject == self._said and now < self._again_at:
            return
        self._said, self._again_at = subject, now + _AGAIN_S
        words = f"the lock on {self._side.label} is held by {holder}"
        self._say("; ".join([words, *gone, *under_way(self._journals)]))


def _gone(holder: Holder) -> tuple[str, ...]:
    """Return why a holder is gone although its lock remains, and what frees the lock.

    This happens while its PostgreSQL session is still running a statement.
    """
    if holder.is_overdue and holder.gone is None:
        return (
            "its lease has expired; the lock is taken over unless the lease is renewed",
        )
    if holder.gone is None:
        return ()
    return (holder.gone, "to free it now: flask db-migrate unlock")


def under_way(journals: Journals) -> tuple[str, ...]:
    """Return the revisions under way and their progress, one line each."""
    return tuple(
        _how_far(journals[name], entry) for name, entry in _open_entries(journals)
    )


def _how_far(journal: Journal, entry: Entry) -> str:
    progress = journal.progress(entry)
    if progress is None:
        return _what(entry)
    at = f"step {progress.step}, {progress.verb} {progress.subject or ''}".rstrip()
    return f"{_what(entry)}, {at}: {how_far(progress)}"


def _open_entries(journals: Journals) -> Iterator[tuple[BackendName, Entry]]:
    for name, journal in journals.items():
        if journal.atomic:
            continue  # it records only what it has committed
        for entry in journal.read().open_entries():
            yield name, entry


def _what(entry: Entry) -> str:
    return f"{entry.direction} of {entry.revision}"
