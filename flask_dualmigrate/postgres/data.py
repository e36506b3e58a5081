"""The app's data in PostgreSQL: how much there is, and what a run touches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Engine

from ..backend import Dropped, Extent, FieldFacts, Loss
from ..backend.data import Counts
from ..backups import Scope
from ..revisions import Step
from .dialects import Other
from .journal.journal import PostgresJournal
from .preflight.losses import loss_of
from .scripts.scripts import PostgresScripts
from .server.errors import driver_errors
from .survey import column_facts, column_values, count_rows


class PostgresData:
    """Reads, and changes nothing."""

    engine: Engine
    _scripts: PostgresScripts
    _journal: PostgresJournal
    _metadata: Any
    _dialect: Other
    _version_table: str

    def _ours(self) -> list[str]:
        """Return the names of the tables that do not belong to the app."""
        return [self._version_table, *(table.name for table in self._journal.tables)]

    def destructive(self, step: Step) -> tuple[Loss, ...]:
        calls = self._scripts.destructive(step)
        if not calls:
            return ()
        with driver_errors("count what would be lost"), self.engine.begin() as link:
            self._dialect.bound_count(link)
            estimate = self._dialect.estimated_rows
            return tuple(loss_of(link, call, estimate) for call in calls)

    def dropped_by_upgrade(self, step: Step) -> tuple[Dropped, ...]:
        return self._scripts.dropped_by_upgrade(step)

    def removes(self, step: Step) -> bool:
        return bool(self._scripts.destructive(step))

    def count(self, names: Collection[str] | None = None, *, limit: int = 0) -> Counts:
        schemas = {None, *(table.schema for table in self._metadata.tables.values())}
        with driver_errors("count rows"), self.engine.connect() as connection:
            return count_rows(
                connection, schemas, names, limit=limit, ours={self._version_table}
            )

    def facts(self, name: str, fields: Sequence[str]) -> dict[str, FieldFacts]:
        table = self._metadata.tables[name]
        with driver_errors("count nulls"), self.engine.connect() as connection:
            return column_facts(connection, table, fields)

    def values(
        self, name: str, key: str, fields: Sequence[str], *, only: Sequence[Any] | int
    ) -> list[dict[str, Any]]:
        if not isinstance(only, int):
            raise TypeError("rows are chosen here, and documents by their keys")
        table = self._metadata.tables[name]
        with driver_errors("read values"), self.engine.connect() as connection:
            return column_values(connection, table, key, fields, limit=only)

    def extent(self, steps: Sequence[Step], scope: Scope) -> Extent:
        ours = self._ours()
        wanted = steps if scope is Scope.TOUCHED else None
        with driver_errors("be looked at"), self.engine.connect() as connection:
            return self._dialect.extent(
                connection,
                None if wanted is None else lambda: self._scripts.mentioned(wanted),
                ours,
            )
