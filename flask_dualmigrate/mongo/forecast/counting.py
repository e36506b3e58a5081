"""Counting and explaining on the server, within a time limit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pymongo.errors import ExecutionTimeout, OperationFailure, PyMongoError

from ..expressions.ranges import Query
from ..server.best_effort import estimated_count
from ..server.failures import shown
from ..server.views import NATIVE, ExactDatabase

LIMIT_S = 10.0
"""Seconds that one count may take; after that the server's own estimate is used."""

SAMPLES = 5


@dataclasses.dataclass(frozen=True)
class Count:
    """A number of documents. exact: False if it is that of the whole collection."""

    number: int
    exact: bool = True

    @property
    def note(self) -> str | None:
        if self.exact:
            return None
        return (
            f"more than could be counted in {LIMIT_S:g} s: the collection "
            f"has about {self.number} documents (estimated)"
        )


def count(db: ExactDatabase, collection: str, query: Query) -> Count:
    """Count the documents that match, or estimate how many the collection has."""
    target = db[collection]
    try:
        return Count(target.count_documents(query, maxTimeMS=limit_ms()))
    except ExecutionTimeout:
        return Count(estimated_count(target), exact=False)


def aggregate(
    db: ExactDatabase,
    collection: str,
    stages: Sequence[Mapping[str, Any]],
    **options: Any,
) -> list[dict[str, Any]] | None:
    """Return the result of a pipeline; None if it takes too long."""
    target = db.get_collection(collection).with_options(codec_options=NATIVE)
    try:
        found = target.aggregate(
            list(stages), maxTimeMS=limit_ms(), allowDiskUse=True, **options
        )
        return list(found)
    except ExecutionTimeout:
        return None


def samples(
    db: ExactDatabase, collection: str, query: Query, field: str | None = None
) -> tuple[str, ...]:
    """Return up to five matching documents: the `_id`, and a field's value."""
    shape = {"_id": True} | ({"value": f"${field}"} if field else {})
    stages: list[Query] = [
        {"$match": query},
        {"$limit": SAMPLES},
        {"$project": shape},
    ]
    found = aggregate(db, collection, stages) or []
    return tuple(map(_sample, found))


def _sample(document: Mapping[str, Any]) -> str:
    text = shown(document["_id"])
    if "value" in document:
        text += f" ({shown(document['value'])})"
    return text


def how_found(db: ExactDatabase, collection: str, query: Query) -> str | None:
    """Return how the server finds a batch, such as `IXSCAN _id_`, `COLLSCAN, SORT`.

    None if it does not explain, for example to a user without that privilege.
    """
    find = {"find": collection, "filter": query, "sort": {"_id": 1}, "limit": 1000}
    try:
        told = db.command(
            "explain", find, verbosity="queryPlanner", codec_options=NATIVE
        )
    except OperationFailure:
        return None
    planner: dict[str, Any] = told.get("queryPlanner", {})
    return ", ".join(dict.fromkeys(_stages(planner.get("winningPlan", {})))) or None


def _stages(plan: Any) -> Iterator[str]:
    """Yield the scans and sorts of a winning plan, innermost first."""
    if isinstance(plan, list):
        for each in plan:
            yield from _stages(each)
    if not isinstance(plan, dict):
        return
    for key in ("queryPlan", "inputStage", "inputStages", "shards", "winningPlan"):
        yield from _stages(plan.get(key))
    stage = plan.get("stage")
    if stage == "IXSCAN":
        yield f"IXSCAN {plan.get('indexName')}"
    elif stage in ("COLLSCAN", "SORT", "IDHACK", "CLUSTERED_IXSCAN", "EOF"):
        yield str(stage)


def limit_ms() -> int:
    return max(1, int(LIMIT_S * 1000))


def timed_out(error: PyMongoError) -> bool:
    return bool(error.timeout) or isinstance(error, ExecutionTimeout)
