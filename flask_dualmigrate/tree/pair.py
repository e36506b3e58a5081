"""The two scripts of one revision, before they are written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Header:
    """One revision, as both of its scripts name it.

    down_revision: its parents; () for a base, two or more for a merge. depends_on: ids,
    labels or prefixes. created_at: a timezone-aware time.
    """

    revision: str
    down_revision: tuple[str, ...]
    branch_labels: tuple[str, ...]
    depends_on: tuple[str, ...]
    message: str
    created_at: datetime


@dataclass(frozen=True)
class Pair:
    """Both sources of one revision.

    detected: what the models have and the database lacks, one line each. empty: the two
    are equal, and there is nothing to write. header: as given, except for the id and
    the message if the app's process_revision_directives changed them.
    """

    postgres: str
    mongo: str
    detected: tuple[str, ...]
    empty: bool
    header: Header
