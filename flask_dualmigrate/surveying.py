"""`upgrade --verify`: counts what a run touches, before it and after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .backend import Extent
from .backups import Scope
from .environment import Environment
from .plan import Plan
from .revision import BackendName
from .survey import Counts, PairedField, Survey, compared


class Witness:
    """Counts what a plan touches when it is made, and again after the run.

    Where it cannot be told what a side's scripts touch, all of that side is counted.
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

    def _count(self) -> dict[BackendName, Counts]:
        return {
            name: self._env.backends[name].survey(only)
            for name, only in self._only.items()
        }

    def compare(self) -> Survey:
        """Count again, and compare the columns and fields that stand for each other."""
        after = self._count()
        places = tuple(
            place
            for side, there in sorted(self._before.items(), reverse=True)
            for place in compared(
                side, there, after[side], removing=side in self._removing
            )
        )
        return Survey(places, tuple(_fields(self._env, after)))


def _fields(
    env: Environment, after: Mapping[BackendName, Counts]
) -> Iterator[PairedField]:
    """Yield the pairs of what was touched on either side, if both are in use."""
    if len(after) < 2:
        return
    rows, documents = after[BackendName.POSTGRES], after[BackendName.MONGO]
    for table, collection in env.mirrored():
        if table in rows or collection in documents:
            yield from _pairs(env, table, collection)


def _pairs(env: Environment, table: str, collection: str) -> Iterator[PairedField]:
    pairs = env.paired_fields(table)
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
