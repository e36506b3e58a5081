"""A batch on trial: done in a transaction that is aborted, to see how long it takes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import pymongo
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from ..errors import first_line
from ..failures import (
    DOCUMENT_INVALID,
    DUPLICATE_KEY,
    code_of,
    duplicate_of,
    shortened,
)
from ..views import DURABLE
from ..walk import Query, both, ids_in
from ..work import Work

LIMIT_S = 1.0
"""Seconds that a sample may take: as long, its documents are locked for the app."""

SIZE = 500
"""Documents in a sample, at most."""

Write = Callable[[Collection[RawBSONDocument], Query, ClientSession], object]
"""Writes the documents that a query finds, in the transaction of the session."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """How a sample went.

    seconds: for one document. problem: why the batch would fail. note: why there is
    no estimate.
    """

    seconds: float | None = None
    problem: str | None = None
    note: str | None = None

    def estimate_s(self, documents: int) -> float | None:
        return None if self.seconds is None else documents * self.seconds


def try_batch(
    work: Work,
    collection: str,
    query: Query,
    write: Write,
    *,
    shape: Mapping[str, Any] | None,
    size: int = SIZE,
) -> Trial:
    """Read and write one batch; nothing of it stays."""
    target = work.db[collection]

    def attempt(session: ClientSession) -> int:
        found = target.find(
            query, shape, sort=[("_id", 1)], limit=min(size, SIZE), session=session
        )
        ids = [document["_id"] for document in found]
        if ids:
            write(target, both(ids_in(ids), query), session)
        return len(ids)

    return on_trial(work, attempt)


def on_trial(work: Work, attempt: Callable[[ClientSession], int]) -> Trial:
    """Call a function in a transaction that is aborted; it returns its documents."""
    client = work.db.client
    with client.start_session(causal_consistency=False) as session:
        session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )
        started = time.monotonic()
        try:
            with pymongo.timeout(LIMIT_S):
                documents = attempt(session)
        except PyMongoError as error:
            return _refused(error)
        finally:
            session.abort_transaction()
        took = time.monotonic() - started
    return Trial(took / documents) if documents else Trial()


def _refused(error: PyMongoError) -> Trial:
    if code_of(error) == DUPLICATE_KEY:
        twice = duplicate_of(error)
        return Trial(problem=f"A unique index refuses a second document with {twice}")
    if code_of(error) == DOCUMENT_INVALID:
        details: Any = getattr(error, "details", None) or {}
        failed = (details.get("writeErrors") or [details])[0].get("errInfo", {})
        which = shortened(repr(failed.get("failingDocumentId")))
        return Trial(problem=f"The validator refuses the document with _id {which}")
    if error.timeout:
        return Trial(note=f"no estimate: a sample took more than {LIMIT_S:g} s")
    reason = shortened(first_line(error)).rstrip(".")
    return Trial(note=f"no estimate: the server refused a sample: {reason}")
