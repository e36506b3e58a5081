"""The app's data in MongoDB: how much there is, and what a run touches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pymongo.database import Database

from ..backend import Dropped, Extent, FieldFacts, Loss
from ..backend.data import Counts
from ..backups import Scope
from ..revisions import Direction, Step
from .asides.purge import KeptAsides
from .backup.extent import extent_of
from .journal.journal import MongoJournal
from .operations.registry import handled
from .scripts.scripts import MongoScripts
from .server.errors import driver_errors
from .server.time_limit import takes_its_time
from .server.views import exact_view
from .survey import count_documents, field_facts, field_values


class MongoData:
    """Inspects the app's data without changing anything."""

    _db: Database[Any]
    _scripts: MongoScripts
    _journal: MongoJournal

    @takes_its_time
    def destructive(self, step: Step) -> tuple[Loss, ...]:
        operations = self._scripts.operations(step)
        with driver_errors("count what would be lost"):
            taken = [
                handler.loss(op, self._db)
                for op, handler in handled(operations)
                if op.destructive
            ]
        return (*taken, *map(Loss, self._lost(step)))

    def _lost(self, step: Step) -> tuple[str, ...]:
        """Say what a downgrade cannot put back because it was purged."""
        if step.direction is Direction.UPGRADE:
            return ()
        with driver_errors("read its asides"):
            entry = self._journal.entries().get(step.revision.id)
            if entry is not None and entry.open:
                return ()  # begun already: what is missing may have been put back
            return KeptAsides(self._db).lost(step.revision.id)

    def dropped_by_upgrade(self, step: Step) -> tuple[Dropped, ...]:
        return ()  # it is kept aside; what was purged from there is reported as a loss

    def removes(self, step: Step) -> bool:
        operations = self._scripts.operations(step)
        return any(handler.removes for _, handler in handled(operations))

    @takes_its_time
    def count(self, names: Collection[str] | None = None, *, limit: int = 0) -> Counts:
        with driver_errors("count documents"):
            return count_documents(exact_view(self._db), names, limit)

    @takes_its_time
    def facts(self, name: str, fields: Sequence[str]) -> dict[str, FieldFacts]:
        with driver_errors("count the values of fields"):
            return field_facts(self._db, name, fields)

    @takes_its_time
    def values(
        self, name: str, key: str, fields: Sequence[str], *, only: Sequence[Any] | int
    ) -> list[dict[str, Any]]:
        if isinstance(only, int):
            raise TypeError("rows are chosen by their table, and documents by keys")
        with driver_errors("read values"):
            return field_values(self._db, name, key, fields, keys=only)

    @takes_its_time
    def extent(self, steps: Sequence[Step], scope: Scope) -> Extent:
        with driver_errors("be looked at"):
            if scope is Scope.ALL:
                return extent_of(self._db, None)
            named, why = self._touched(steps)
            ids = [step.revision.id for step in steps]
            return extent_of(self._db, named, ids, why=why)

    def _touched(self, steps: Sequence[Step]) -> tuple[set[str], str | None]:
        """Return the collections that steps name, and why they may touch others."""
        named, why = set(), None
        operations = (op for step in steps for op in self._scripts.operations(step))
        for operation, handler in handled(operations):
            why = why or handler.reaches(operation)
            names = getattr(operation, "collection", None), handler.moves_to(operation)
            named |= {name for name in names if name is not None}
        return named, why
