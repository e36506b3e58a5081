"""Commands that a run can do without if the server refuses them.

Managed servers and accounts with few privileges refuse administrative commands with
various codes: 8000 (Atlas), 59, 13, 115. So any refusal counts, whatever its code.
Source: MongoDB Atlas, Unsupported Commands; Amazon DocumentDB, Supported APIs.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, OperationFailure

from .errors import first_line
from .views import EXACT, NATIVE

log = logging.getLogger(__name__)

_SAMPLES = 20
"""Documents that are sampled if the server does not report their size."""


def ask(db: Database[Any], question: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the answer to a command; None if the server refuses it.

    A lost connection is not a refusal: it is raised.
    """
    try:
        return db.command(dict(question), codec_options=NATIVE)
    except OperationFailure as error:
        name, why = next(iter(question)), first_line(error)
        log.debug("MongoDB refuses %s, so the run continues without it: %s", name, why)
        return None


def estimated_count(collection: Collection[Any]) -> int:
    """Return how many documents a collection has, by its metadata if available."""
    try:
        return collection.estimated_document_count()
    except ExecutionTimeout:
        raise
    except OperationFailure:  # no `count`, as in the first Stable API
        return collection.count_documents({})


@dataclasses.dataclass(frozen=True)
class Size:
    """How much a collection holds."""

    documents: int
    size_bytes: int

    @property
    def document_bytes(self) -> int:
        """The average size of its documents; 1 if it has none."""
        return max(1, self.size_bytes // max(1, self.documents))


def size_of(db: Database[Any], collection: str) -> Size:
    """Return how much a collection holds, by its first documents if need be."""
    told = ask(db, {"collStats": collection})
    if told is not None:
        return Size(int(told.get("count", 0)), int(told.get("size", 0)))
    target = db.get_collection(collection).with_options(codec_options=EXACT)
    sample = [len(document.raw) for document in target.find({}, limit=_SAMPLES)]
    documents = max(estimated_count(target), len(sample))
    return Size(documents, sum(sample) * documents // max(1, len(sample)))
