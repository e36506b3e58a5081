"""Bringing stored documents into a collection, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from .views import EXACT

_ZERO_TIMESTAMP = b"\x00" * 8
_ZERO = Timestamp(0, 0)

OnBatch = Callable[[int], None]
"""Told how many documents are in, after each batch."""


def put_in(
    db: Database[Any],
    name: str,
    batches: Iterable[list[bytes]],
    *,
    on_batch: OnBatch = lambda done: None,
) -> int:
    """Insert documents in their order; return how many.

    They are not yet safe from the loss of the primary: what is written after them with
    w:majority makes them so.
    """
    collection = db.get_collection(
        name, codec_options=EXACT, write_concern=WriteConcern(1)
    )
    done = 0
    for batch in batches:
        documents = [RawBSONDocument(each, EXACT) for each in batch]
        collection.insert_many(documents, bypass_document_validation=True)
        for document in documents:
            if _ZERO_TIMESTAMP in document.raw:
                _mend_timestamps(collection, document)
        done += len(documents)
        on_batch(done)
    return done


def _mend_timestamps(collection: Any, document: Mapping[str, Any]) -> None:
    """Put back the empty timestamps, which an insert takes for the time of day.

    Source: MongoDB manual, BSON Types, Timestamps.
    """
    empty = [
        name
        for name, value in document.items()
        if name != "_id" and isinstance(value, Timestamp) and value == _ZERO
    ]
    if empty:
        setting = {"$set": dict.fromkeys(empty, _ZERO)}
        collection.update_one({"_id": document["_id"]}, setting)
