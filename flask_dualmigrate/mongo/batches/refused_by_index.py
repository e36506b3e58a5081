"""Putting documents back, except those that a unique index now refuses.

The app may have given another document the value that one had before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pymongo.client_session import ClientSession
from pymongo.errors import PyMongoError

from ..server.failures import DUPLICATE_KEY, code_of
from .pace import Pace
from .step_under_way import Work

Result = TypeVar("Result")


def transact_but_refused(
    work: Work,
    pace: Pace,
    attempt: Callable[[ClientSession], Result],
    refuse: Callable[[], Result],
    *,
    on_retry: Callable[[], None] = lambda: None,
) -> Result:
    """Commit what `attempt` does, with fewer documents if one of them is refused.

    refuse: passes over a document that is refused on its own. attempt, on_retry: as in
    Work.transact_some; attempt sets pace.tried. Without transactions a part of a batch
    is written already: attempt must detect that part.
    """
    while True:
        try:
            result = work.transact_some(pace, attempt, on_retry=on_retry)
        except PyMongoError as error:
            if code_of(error) != DUPLICATE_KEY:
                raise
            if pace.tried <= 1:
                return refuse()
            pace.refused()
        else:
            pace.passed()
            return result


def note_refused(work: Work) -> None:
    """Note why a document stays although it was not itself changed."""
    work.note(
        f"a unique index of {work.record.subject.get('collection')} refuses the "
        "former documents, because others now have such values: they also remain"
    )
