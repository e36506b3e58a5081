"""Operations on what belongs to no table: enum types, domains, sequences.

They go before all that is done to tables, or after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from alembic.operations import ops
from sqlalchemy.engine import Dialect


class DatabaseOp(ops.MigrateOperation):
    """One of these. kind: what all such are; words: what is done to this one."""

    kind: str = ""
    words: str = ""

    @property
    def is_made(self) -> bool:
        """Whether the script does it; else it is left to a person."""
        return True

    def first(self, dialect: Dialect) -> Iterator[str]:
        """Yield the SQL that runs where the operation stands."""
        yield from ()

    def last(self, dialect: Dialect) -> Iterator[str]:
        """Yield the SQL that runs when the tables are there."""
        yield from ()
