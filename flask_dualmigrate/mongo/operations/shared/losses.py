"""Counting what an operation permanently removes."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from ....backend import Loss
from ....ops import Operation
from ...expressions.ranges import Query
from ...forecast.counting import limit_ms
from ...server.best_effort import estimated_count


def counted(
    db: Database[Any], operation: Operation, collection: str, query: Query, unit: str
) -> Loss:
    """Count what matches; if that takes too long, return the most it can be."""
    what = operation.describe()
    try:
        number = db[collection].count_documents(query, maxTimeMS=limit_ms())
        return Loss(what, number, unit)
    except ExecutionTimeout:
        return Loss(what, estimated_count(db[collection]), unit, exact=False)
