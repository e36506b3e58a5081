"""Inserting stored documents into a collection, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from ..batches.raw_collection import insert_exactly
from ..server.views import EXACT

OnBatch = Callable[[int], None]
"""Called with the number of documents restored, after each batch."""


def put_in(
    db: Database[Any],
    name: str,
    batches: Iterable[list[bytes]],
    *,
    bypass: bool,
    on_batch: OnBatch = lambda done: None,
) -> int:
    """Insert documents in order; return how many.

    bypass: whether there is a validator, which may refuse what was there before.

    They are not yet safe from the loss of the primary: a later write with w:majority
    makes them so.
    """
    collection = db.get_collection(
        name, codec_options=EXACT, write_concern=WriteConcern(1)
    )
    done = 0
    for batch in batches:
        documents = [RawBSONDocument(each, EXACT) for each in batch]
        insert_exactly(collection, documents, bypass=bypass)
        done += len(documents)
        on_batch(done)
    return done
