"""Documents with edge values for the existing collections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import bson
from bson import Binary, Decimal128
from bson.errors import BSONError
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from ..snapshots.mongo import is_apps
from .edges import edges, plain

_PLAIN_DOCUMENTS = 3
Document = dict[str, Any]


class MongoSeeds:
    """Inserts documents into collections; again if their fields have changed.

    shapes: returns those of the collections at the current revision. notes: collections
    that no document could be inserted into, and why.
    """

    def __init__(
        self, db: Database[Any], shapes: Callable[[], tuple[Any, ...]]
    ) -> None:
        self._shapes = shapes
        self.notes: dict[str, str] = {}
        self._db = db
        self._seeded: dict[str, str] = {}
        self._number = 0

    def forget(self) -> None:
        """Treat all collections as new."""
        self._seeded.clear()

    def clear(self) -> None:
        """Empty all collections of the app."""
        names = self._db.list_collection_names(filter={"type": {"$ne": "view"}})
        for name in filter(is_apps, names):
            self._db[name].delete_many({})

    def sow(self, *, at_the_edges: bool) -> None:
        """Insert documents into the existing collections.

        at_the_edges: also insert edge values, not only ordinary ones.
        """
        there = set(self._db.list_collection_names(filter={"type": "collection"}))
        for shape in self._shapes():
            name, fields = shape.collection, repr(shape.fields)
            if name not in there or not is_apps(name):
                continue
            if self._seeded.get(name) != fields:
                self._seeded[name] = fields
                self._sow(shape, at_the_edges)

    def _sow(self, shape: Any, at_the_edges: bool) -> None:
        documents = list(filter(_fits, self._documents(shape, at_the_edges)))
        try:
            if documents:
                self._db[shape.collection].insert_many(documents, ordered=False)
        except BulkWriteError as error:
            # If an index or a validator rejects a document, only that one is lost.
            if error.details["nInserted"] == 0:
                reason = error.details["writeErrors"][0]["errmsg"]
                self.notes[shape.collection] = str(reason)

    def _documents(self, shape: Any, at_the_edges: bool) -> Iterator[Document]:
        """Yield some with plain values, then one for each edge value of each field."""
        for _ in range(_PLAIN_DOCUMENTS):
            yield self._plain(shape)
        for field in shape.fields if at_the_edges else ():
            values = [as_bson(value) for value in edges(field.type_)]
            for value in [None, *values] if field.nullable else values:
                document = self._plain(shape)
                _set(document, field.path, value)
                yield document
            if field.nullable and "." not in field.path and field.path != "_id":
                document = self._plain(shape)
                document.pop(field.path, None)
                yield document

    def _plain(self, shape: Any) -> Document:
        self._number += 1
        document: Document = {}
        for field in shape.fields:
            try:
                value = as_bson(plain(field.type_, self._number))
            except LookupError:
                continue
            _set(document, field.path, value)
        return document


def _fits(document: Document) -> bool:
    """Return whether a document can be stored: BSON has its own limits."""
    try:
        bson.encode(document)
    except (BSONError, OverflowError, ValueError):
        return False
    return True


def as_bson(value: Any) -> Any:
    """Return a column's value as it is stored in a document."""
    match value:
        case Decimal():
            return Decimal128(value)
        case datetime():
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return Binary.from_uuid(value)
        case list():
            return [as_bson(item) for item in value]
    return value


def _set(document: Document, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        document = document.setdefault(name, {})
    document[last] = value
