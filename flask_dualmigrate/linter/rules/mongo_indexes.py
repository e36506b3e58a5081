"""Rules for indexes in Mongo scripts.

Source: MongoDB manual, Index Builds on Populated Collections, Unique Indexes, Limits.
"""

from __future__ import annotations

from ...ops import AddField, CreateIndex
from ..advice.finding import Advice, Advices, rule
from ..advice.paste import text
from ..advice.paste_mongo import call
from ..views.mongo import MongoView

LARGE = 100_000
"""The number of documents from which an index build is reported."""


@rule("DM201", "unique index on an existing collection", counts=True)
def unique_index(view: MongoView) -> Advices:
    """It fails at the first two documents that share a key."""
    for index, said in view.of(CreateIndex):
        if not index.unique or not said.existing or _indexes_nothing(index, view):
            continue
        count = view.facts.duplicates(index)
        if count == 0:
            continue
        what = (
            f"{count:,} documents of {index.collection} share a key"
            if count
            else f"Two documents of {index.collection} may share a key"
        )
        nulls = "" if _leaves_out(index) else _NULLS
        yield Advice(
            f"{what}: in that case the index is not built, and the revision "
            f"fails.{nulls}",
            _deduplicated(index, counted=bool(count)),
            said.line,
        )


_NULLS = " Documents without the field count as null."


def _leaves_out(index: CreateIndex) -> bool:
    """Return whether the index leaves out documents without the field."""
    return bool(index.options.get("partialFilterExpression")) or bool(
        index.options.get("sparse")
    )


def _indexes_nothing(index: CreateIndex, view: MongoView) -> bool:
    """Return whether it is on a field that the script just created, without values."""
    made = {
        (field.collection, field.field)
        for field, _ in view.of(AddField)
        if not field.writes
    }
    on_new = any((index.collection, name) in made for name, _ in index.keys)
    return on_new and _leaves_out(index)


def _deduplicated(index: CreateIndex, *, counted: bool) -> str:
    fields = ", ".join(f"{text(name)}: {text('$' + name)}" for name, _ in index.keys)
    first = "# Find them, and fix them in a revision before this one:\n"
    return (
        f"{first}# list(db[{text(index.collection)}].aggregate([\n"
        f'#     {{"$group": {{"_id": {{{fields}}}, "n": {{"$sum": 1}}}}}},\n'
        '#     {"$match": {"n": {"$gt": 1}}},\n# ]))\n'
        f"{call(index)}"
        + ("" if counted else "  # dualmigrate: allow DM201 no key occurs twice")
    )


@rule("DM206", "index on a large collection", counts=True)
def large_index(view: MongoView) -> Advices:
    """It blocks no one, but costs reads, memory and replication lag."""
    for index, said in view.of(CreateIndex):
        count = view.facts.documents(index.collection) if said.existing else None
        if count is not None and count >= LARGE:
            yield Advice(
                f"{index.collection} has {count:,} documents. The build blocks "
                "reads and writes only for a moment, but until it is done it costs "
                "I/O and memory, and secondaries lag behind.",
                "# Build it at a quiet time before this revision, which "
                "then finds it in place:\n# flask db-migrate upgrade --max-time 0\n"
                f"{call(index)}  # dualmigrate: allow DM206 built at a quiet time",
                said.line,
            )


_MOST_INDEXES = 64


@rule("DM210", "more than 64 indexes", counts=True)
def many_indexes(view: MongoView) -> Advices:
    """MongoDB refuses the 65th."""
    for index, said in view.of(CreateIndex):
        there = view.facts.indexes(index.collection) if said.existing else None
        count = max(said.indexes, (there or 0) + 1)
        if count > _MOST_INDEXES:
            yield Advice(
                f"{index.collection} would have {count} indexes, and MongoDB "
                "allows 64; each one makes every write more expensive.",
                "# First drop an unused one (flask db-migrate index list):\n"
                f'op.drop_index({text(index.collection)}, "ix_unused")',
                said.line,
            )
