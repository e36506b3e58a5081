"""`upgrade --verify`: counts what a run touches, before it and after it.

A sample of the values that are equal on both sides before must be equal after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..backend import Extent
from ..backend.data import Counts
from ..backups import Scope
from ..environment import Environment
from ..revisions import BackendName
from ..run.plan import Plan
from .sample import Sample
from .survey import PairedField, Survey, compared


class Witness:
    """Counts what a plan touches when it is made, and again after the run.

    If it is unknown what a side's scripts touch, all of that side is counted.
    """

    def __init__(self, env: Environment, plan: Plan) -> None:
        self._env = env
        self._only: dict[BackendName, Extent | None] = {}
        self._removing: set[BackendName] = set()
        for name in {name for step in plan.steps for name in step.backends}:
            backend = env.backends[name]
            steps = [step for step in plan.steps if name in step.backends]
            extent = backend.extent(steps, Scope.TOUCHED)
            self._only[name] = extent if extent.scope is Scope.TOUCHED else None
            if any(map(backend.removes, steps)):
                self._removing.add(name)
        self._before = self._count()
        self._values = {
            table: sample
            for table, collection in self._mirrored(self._before)
            if (sample := Sample.of(env, table, collection)) is not None
        }

    def _count(self) -> dict[BackendName, Counts]:
        return {
            name: self._env.backends[name].survey(only)
            for name, only in self._only.items()
        }

    def compare(self) -> Survey:
        """Count again, and compare the columns and fields that correspond."""
        after = self._count()
        places = tuple(
            place
            for side, there in sorted(self._before.items(), reverse=True)
            for place in compared(
                side, there, after[side], removing=side in self._removing
            )
        )
        env, mirrored = self._env, [*self._mirrored(after)]
        fields = (pair for place in mirrored for pair in _pairs(env, *place))
        values = (
            pair
            for table, collection in mirrored
            if (before := self._values.get(table)) is not None
            if (now := Sample.of(env, table, collection, before.keys)) is not None
            for pair in before.compare(now, after[BackendName.POSTGRES].get(table, 0))
        )
        return Survey(places, tuple(fields), tuple(values))

    def _mirrored(
        self, counts: Mapping[BackendName, Counts]
    ) -> Iterator[tuple[str, str]]:
        """Yield what was touched on either side, if both are in use."""
        if len(counts) < 2:
            return
        rows, documents = counts[BackendName.POSTGRES], counts[BackendName.MONGO]
        for table, collection in self._env.models.mirrored():
            if table in rows or collection in documents:
                yield table, collection


def _pairs(env: Environment, table: str, collection: str) -> Iterator[PairedField]:
    pairs = env.models.paired_fields(table)
    columns = env.backends[BackendName.POSTGRES].facts(
        table, [pair.column for pair in pairs]
    )
    fields = env.backends[BackendName.MONGO].facts(
        collection, [pair.field for pair in pairs]
    )
    for pair in pairs:
        if pair.column not in columns:
            continue  # the model is ahead of the database
        column, field = columns[pair.column], fields[pair.field]
        strange = field.types - (pair.types or field.types)
        yield PairedField(
            table,
            pair.column,
            collection,
            pair.field,
            nulls=column.nulls,
            missing=field.nulls,
            rows=column.total,
            documents=field.total,
            types=tuple(sorted(field.types)),
            strange=tuple(sorted(strange)),
        )
