"""Counting what corresponds on both sides, and `upgrade --verify`.

It counts what a run touches, before it and after it. A sample of the values that are
equal on both sides before must be equal after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..backend.data import Counts
from ..backups import Scope
from ..environment import Environment
from ..revisions import BackendName
from ..run.plan import Plan
from .sample import Sample
from .survey import PairedField, Survey, compared

AllCounts = Mapping[BackendName, Counts]


def count(
    env: Environment,
    names: Mapping[BackendName, Collection[str] | None],
    *,
    limit: int = 0,
) -> AllCounts:
    """Count on each side what is named; None: all of the side. limit: stop there."""
    return {
        side: env.backends[side].count(wanted, limit=limit)
        for side, wanted in names.items()
    }


def mirrored(env: Environment, counts: AllCounts) -> Iterator[tuple[str, str]]:
    """Yield the tables and their collections, if either was counted on its side.

    Nothing if only one side was counted.
    """
    if len(counts) == 2:
        rows, documents = counts[BackendName.POSTGRES], counts[BackendName.MONGO]
        for table, collection in env.models.mirrored():
            if table in rows or collection in documents:
                yield table, collection


class Witness:
    """Counts what a plan touches when it is made, and again after the run.

    If it is unknown what a side's scripts touch, all of that side is counted.
    """

    def __init__(self, env: Environment, plan: Plan) -> None:
        self._env = env
        self._only: dict[BackendName, Collection[str] | None] = {}
        self._removing: set[BackendName] = set()
        for name in {name for step in plan.steps for name in step.backends}:
            backend = env.backends[name]
            steps = [step for step in plan.steps if name in step.backends]
            extent = backend.extent(steps, Scope.TOUCHED)
            touched = {item.full_name for item in extent.items}
            self._only[name] = touched if extent.scope is Scope.TOUCHED else None
            if any(map(backend.removes, steps)):
                self._removing.add(name)
        self._before = count(env, self._only)
        self._values = {
            table: sample
            for table, collection in mirrored(env, self._before)
            if (sample := Sample.of(env, table, collection)) is not None
        }

    def compare(self) -> Survey:
        """Count again, and compare the columns and fields that correspond."""
        env = self._env
        after = count(env, self._only)
        places = tuple(
            place
            for side, there in sorted(self._before.items(), reverse=True)
            for place in compared(
                side, there, after[side], removing=side in self._removing
            )
        )
        both = [*mirrored(env, after)]
        fields = (pair for place in both for pair in _pairs(env, *place))
        values = (
            pair
            for table, collection in both
            if (before := self._values.get(table)) is not None
            if (now := Sample.of(env, table, collection, before.keys)) is not None
            for pair in before.compare(now, after[BackendName.POSTGRES].get(table, 0))
        )
        return Survey(places, tuple(fields), tuple(values))


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
