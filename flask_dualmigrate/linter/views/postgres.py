"""What the rules of Alembic scripts check: the changes, and the state before them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

from ...alembic_scripts.change import LOCKS, Change
from .source import Source
from .tables import Tables


@dataclass(frozen=True)
class PostgresView:
    """One function of a script. lock_timeout_s: when its transaction starts."""

    changes: tuple[Change, ...]
    source: Source
    module: ModuleType
    lock_timeout_s: float

    def of(self, *verbs: str) -> Iterator[Change]:
        """Yield the changes of some verbs to tables that existed before."""
        for change in self.changes:
            if change.verb in verbs and change.existing:
                yield change

    def locking(self) -> Iterator[Change]:
        """Yield the changes that lock a table in use."""
        for change in self.of(*LOCKS):
            if not change.concurrently:
                yield change


def placed(changes: Sequence[Change], tables: Tables) -> tuple[Change, ...]:
    """Return changes, each with the state before it; `tables` learns from them."""
    made: set[str | None] = set()
    found = []
    utc = False
    for change in changes:
        utc = utc or change.verb == "utc"
        known = replace(
            change,
            existing=not ({change.table, change.name} & made),
            old_type=change.old_type or tables.type_of(change.table, change.column),
            proven=tables.proves_not_null(change.table, change.column),
            utc=utc,
        )
        if change.verb == "create_table":
            made.add(change.table)
        elif change.verb in ("create_index", "rename_table") and not known.existing:
            made.add(change.name)
        tables.take(change)
        found.append(known)
    return tuple(found)
