"""Operations on things that belong to no table: enum types, domains, sequences.

They come before all operations on tables, or after them.
"""

from __future__ import annotations

from collections.abc import Iterator

from alembic.operations import ops
from sqlalchemy.engine import Dialect


class DatabaseOp(ops.MigrateOperation):
    """One such operation. kind: what its class is about; words: what it does."""

    kind: str = ""
    words: str = ""

    @property
    def is_made(self) -> bool:
        """Whether the script does it; otherwise it is left to the user."""
        return True

    def first(self, dialect: Dialect) -> Iterator[str]:
        """Yield the SQL that runs at the operation's own place."""
        yield from ()

    def last(self, dialect: Dialect) -> Iterator[str]:
        """Yield the SQL that runs once the tables exist."""
        yield from ()
