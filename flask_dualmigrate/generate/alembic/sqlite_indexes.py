"""SQLite's indexes on expressions, which neither SQLAlchemy nor Alembic can read.

Alembic leaves them out of a comparison, so it never creates one; nor does it compare
the WHERE of other indexes. SQLite lists its indexes, and keeps each one's statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from alembic.operations import ops
from alembic.util.sqla_compat import is_expression_index
from sqlalchemy import Index, MetaData
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex

_INDEXES = """
SELECT tbl_name, name, sql, EXISTS (
    SELECT * FROM pragma_index_xinfo(master.name) AS part WHERE part.cid = -2
) FROM sqlite_master AS master WHERE type = 'index' AND sql IS NOT NULL
"""


class ExpressionIndexes:
    """Makes Alembic create those that do not exist.

    not_compared: gets a line for each that exists with a different text, or that the
    models do not have.
    """

    def __init__(
        self,
        impl: Any,
        metadata: Sequence[MetaData],
        not_compared: list[str],
    ) -> None:
        self._impl = impl
        self._each = metadata
        self._connection: Connection = impl.connection
        self._not_compared = not_compared
        self._words: dict[str, str] = {}
        self._there: set[str] = set()

    def install(self) -> None:
        tables = {
            str(table.name): {str(index.name) for index in table.indexes}
            for metadata in self._each
            for table in metadata.tables.values()
        }
        for table, name, sql, is_ours in self._connection.exec_driver_sql(_INDEXES):
            self._words[name] = sql
            if is_ours:
                self._there.add(name)
            if is_ours and name not in tables.get(table, {name}):
                self._not_compared.append(
                    f"index {name} of {table}, on an expression, which the models do "
                    "not have"
                )
        self._impl.correct_for_autogen_constraints = self._correct

    def _correct(
        self,
        uniques: set[Any],
        found: Iterable[Any],
        model_uniques: Any,
        indexes: set[Any],
    ) -> None:
        """Leave those to create to Alembic; found: those that Alembic can read."""
        for index in list(indexes):
            if is_expression_index(index) and index.name in self._there:
                indexes.discard(index)
                self._compare(index)
            elif _has_condition(index) or " WHERE " in self._words.get(index.name, ""):
                self._compare(index)

    def _compare(self, index: Index) -> None:
        declared = str(CreateIndex(index).compile(dialect=self._connection.dialect))
        there = self._words.get(str(index.name))
        if there is None:
            return
        if " ".join(there.split()) != " ".join(declared.split()):
            assert index.table is not None
            self._not_compared.append(
                f"index {index.name} of {index.table.name}: SQLite has {there!r}, the "
                f"models {declared!r}"
            )


def _has_condition(index: Index) -> bool:
    return index.dialect_options["sqlite"]["where"] is not None


def is_on_an_expression(op: ops.MigrateOperation) -> bool:
    """Return whether an operation is about such an index, which no batch can handle."""
    if isinstance(op, ops.CreateIndexOp | ops.DropIndexOp):
        return bool(is_expression_index(op.to_index()))
    return False
