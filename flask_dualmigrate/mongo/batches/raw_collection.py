"""A collection that a step writes, with documents preserved byte for byte.

What an undo or a downgrade puts back bypasses the collection's validator, which may
refuse what was there before.
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
    """One collection, written in one transaction."""

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
        """Replace the documents that have the same `_id`s by whole documents.

        MongoDB 6.0 aborts if a pipeline overwrites a document with one that contains a
        field name twice: such a document is deleted and inserted instead.
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
        """Update all that match; return their number."""
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

        where: a further condition.
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
    """Insert documents in order, keeping empty timestamps as they are.

    An insert replaces those with the current time; an upsert does not. The upsert's
    filter never matches, so nothing is overwritten.
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
    """Return the stage that replaces a document; its names may begin with `$`."""
    stage = bytes([3]) + b"$literal\x00" + bytes(document.raw)
    literal = bytes([3]) + b"$replaceWith\x00" + as_document(stage)
    return RawBSONDocument(as_document(literal))


def _none_like(document: RawBSONDocument) -> RawBSONDocument:
    """Return a filter that contains an `_id` but matches nothing."""
    equal = id_of(document).named("$eq").bytes
    test = as_document(equal, b"\x08$exists\x00\x00")
    return RawBSONDocument(as_document(b"\x03_id\x00" + test))
