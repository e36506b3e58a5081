"""What a tree's Alembic scripts amount to in MongoDB, revision by revision."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from alembic.operations import MigrateOperation
from sqlalchemy.exc import SQLAlchemyError

from ...ops import Operation, Todo
from ..tables.state import Schema
from .context import Context, Untranslatable
from .counterpart_indexes import postgres_dialect
from .naming import Naming
from .translate import replay, translate


class CounterpartOperations:
    """Translates what scripts do, oldest first; each sees the tables of earlier ones.

    naming: names of tables and columns in MongoDB. validators: the app's setting.
    """

    def __init__(self, naming: Naming, validators: str = "off") -> None:
        self._context = Context(naming, postgres_dialect(), validators)
        self._tables: Schema = {}

    def skip(self, operations: Sequence[MigrateOperation]) -> None:
        """Learn the tables as they are after a revision that is not checked."""
        for operation in operations:
            # A name that is too long, a value without a literal: the rest still counts.
            with suppress(SQLAlchemyError):
                self._tables = replay([operation], self._tables, self._context)

    def translate(
        self, operations: Sequence[MigrateOperation]
    ) -> tuple[Operation, ...] | None:
        """Return the Mongo operations; None if they cannot all be determined."""
        try:
            statements, after = translate(operations, self._tables, self._context)
        except SQLAlchemyError:
            self.skip(operations)
            return None
        self._tables = after
        found = [item for item in statements if isinstance(item, Operation)]
        return None if any(isinstance(op, Todo) for op in found) else tuple(found)

    def mirrored(self) -> frozenset[str]:
        """Return the collections that correspond to the existing tables."""
        return frozenset(filter(None, map(self._collection, self._tables)))

    def _collection(self, table: str) -> str | None:
        try:
            return self._context.collection(table)
        except Untranslatable:
            return None
