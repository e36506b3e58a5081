"""A collection that a step writes: its documents stay the bytes that they are.

What goes back, in an undo or a downgrade, goes back whatever the collection's validator
says: it may refuse what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from ..expressions.raw_bson import (
    as_document,
    by_id,
    has_empty_timestamp,
    id_of,
    repeated_name,
)
from ..server.views import EXACT
from .step_under_way import Work

Update = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Target:
    """One collection, in one transaction."""

    def __init__(self, work: Work, collection: str, session: ClientSession) -> None:
        self._documents = work.db[collection]
        self._session = session
        self._bypass = work.bypasses(collection)

    def insert(self, documents: Sequence[RawBSONDocument]) -> None:
        insert_exactly(
            self._documents, documents, bypass=self._bypass, session=self._session
        )

    def replace(
        self, documents: Sequence[RawBSONDocument], *, upsert: bool = False
    ) -> None:
        """Write whole documents over those with the same `_id`.

        MongoDB 6.0 aborts where a pipeline writes over a document with one that has a
        name twice: such a document is deleted, and inserted.
        """
        twice = [doc for doc in documents if repeated_name(bytes(doc.raw)) is not None]
        writes: list[DeleteOne | UpdateOne]
        writes = [DeleteOne(by_id(doc)) for doc in twice]
        keys = set(map(id, twice))
        writes += [
            UpdateOne(by_id(doc), [_whole(doc)], upsert=upsert)
            for doc in documents
            if id(doc) not in keys
        ]
        self._write(writes)
        self.insert(twice)

    def update(self, query: Mapping[str, Any], update: Update) -> int:
        """Update all that match; return how many they were."""
        done = self._documents.update_many(
            query,
            update,
            bypass_document_validation=self._bypass or None,
            session=self._session,
        )
        return done.matched_count

    def update_each(
        self,
        updates: Iterable[tuple[RawBSONDocument, Update]],
        *,
        where: Mapping[str, Any] | None = None,
    ) -> None:
        """Update single documents, each found by the `_id` of the one given.

        where: what has to be so besides.
        """
        more = bson.encode(where or {}, codec_options=EXACT)[4:-1]
        self._write(
            [
                UpdateOne(RawBSONDocument(as_document(id_of(doc).bytes, more)), update)
                for doc, update in updates
            ]
        )

    def _write(self, writes: Sequence[DeleteOne | UpdateOne]) -> None:
        if writes:
            self._documents.bulk_write(
                writes,
                ordered=False,
                bypass_document_validation=self._bypass or None,
                session=self._session,
            )


def insert_exactly(
    target: Collection[RawBSONDocument],
    documents: Iterable[RawBSONDocument],
    *,
    bypass: bool,
    session: ClientSession | None = None,
) -> None:
    """Insert documents in their order, their empty timestamps as they are.

    An insert takes those for the time of day; an update that inserts does not. What it
    looks for is never there, so that it writes over nothing.
    """
    bypassing = bypass or None
    for would_change, run in groupby(
        documents, key=lambda document: has_empty_timestamp(bytes(document.raw))
    ):
        if not would_change:
            target.insert_many(
                list(run), bypass_document_validation=bypassing, session=session
            )
            continue
        writes = [UpdateOne(_none_like(doc), [_whole(doc)], upsert=True) for doc in run]
        target.bulk_write(writes, bypass_document_validation=bypassing, session=session)


def _whole(document: RawBSONDocument) -> RawBSONDocument:
    """Return the stage that makes a document of another: `$` may begin its names."""
    stage = bytes([3]) + b"$literal\x00" + bytes(document.raw)
    literal = bytes([3]) + b"$replaceWith\x00" + as_document(stage)
    return RawBSONDocument(as_document(literal))


def _none_like(document: RawBSONDocument) -> RawBSONDocument:
    """Return a filter that says an `_id`, and finds nothing."""
    equal = id_of(document).named("$eq").bytes
    test = as_document(equal, b"\x08$exists\x00\x00")
    return RawBSONDocument(as_document(b"\x03_id\x00" + test))
