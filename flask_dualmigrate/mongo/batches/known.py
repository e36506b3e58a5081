"""What a run knows about the app's collections, so that it asks once and not per step.

What it knows is forgotten after a while, as an app may drop a collection and make it
anew; and after each operation that may have done so itself.
"""

from __future__ import annotations

import dataclasses
import time
from functools import cached_property
from typing import Any

from ...errors import OperationError
from ..expressions.id_list import ODD
from ..server.best_effort import Size, size_of
from ..server.views import ExactDatabase, collection_info

_FRESH_S = 60.0
"""Seconds after which it asks again."""


@dataclasses.dataclass
class Known:
    """An existing collection. info: its entry of listCollections."""

    db: ExactDatabase
    name: str
    info: dict[str, Any]
    asked_s: float

    @property
    def is_clustered(self) -> bool:
        """Whether it is stored by `_id`, without an index on it."""
        return "clusteredIndex" in self.info["options"]

    @cached_property
    def size(self) -> Size:
        return size_of(self.db, self.name)

    @cached_property
    def has_odd_ids(self) -> bool:
        """Whether the index on `_id` would give other types; finding out is quick.

        Raises OperationError if some are of a type that PyMongo cannot write.
        """
        target, only_id = self.db[self.name], {"_id": True}
        odd = {"_id": {"$type": [*ODD, "dbPointer"]}}
        if target.find_one(odd, only_id) is None:
            return False
        if target.find_one({"_id": {"$type": "dbPointer"}}, only_id) is not None:
            raise OperationError(
                f"{self.name} has an _id of type DBPointer, which cannot be migrated",
                hint="Insert those documents with another _id, and delete the old "
                "ones.",
            )
        return True


class KnownCollections:
    """The collections of one database that a run has asked about."""

    def __init__(self, db: ExactDatabase) -> None:
        self._db = db
        self._known: dict[str, Known] = {}

    def find(self, name: str) -> Known | None:
        """Return a collection; None if there is none, which is asked each time."""
        known = self._known.get(name)
        if known is not None and time.monotonic() - known.asked_s < _FRESH_S:
            return known
        asked_s = time.monotonic()
        info = collection_info(self._db, name)
        if info is None:
            return None
        found = self._known[name] = Known(self._db, name, info, asked_s)
        return found

    def info(self, name: str) -> dict[str, Any] | None:
        """Return its entry of listCollections; None if there is no such collection."""
        found = self.find(name)
        return None if found is None else found.info

    def forget(self) -> None:
        self._known.clear()
