"""What an operation takes away for good, and of how many documents."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from ...backend import Loss
from ...ops import ConvertField, Delete, DropCollection, DropField, Operation
from ..expressions.conversions import needs_conversion
from ..expressions.paths import FieldPath
from ..expressions.ranges import Query
from ..forecast.counting import limit_ms
from ..server.best_effort import estimated_count


def loss_of(db: Database[Any], operation: Operation) -> Loss:
    """Count what is there now, which an operation before it in the plan may change.

    db: the app's own, whose codec knows the values of a script.
    """
    what = operation.describe()
    match operation:
        case DropCollection(name):
            number = estimated_count(db[name])
            return Loss(what, number, "documents", exact=False)
        case Delete(name, query):
            return _counted(db, what, name, query, "documents")
        case DropField(name, field):
            present = {"$expr": FieldPath(field).present}
            return _counted(db, what, name, present, "values")
        case ConvertField(name, field, to=to):
            others = {"$expr": needs_conversion(FieldPath(field), to)}
            return _counted(db, what, name, others, "values")
    return Loss(what)


def _counted(
    db: Database[Any], what: str, collection: str, query: Query, unit: str
) -> Loss:
    """Count what matches; where that takes too long, say what is there at the most."""
    try:
        number = db[collection].count_documents(query, maxTimeMS=limit_ms())
        return Loss(what, number, unit)
    except ExecutionTimeout:
        return Loss(what, estimated_count(db[collection]), unit, exact=False)
