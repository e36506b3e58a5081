"""A batch on trial: done in a transaction that is aborted, to see how long it takes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pymongo
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from ...errors import OperationError
from ..failures import (
    DOCUMENT_INVALID,
    DUPLICATE_KEY,
    UNAUTHORIZED,
    code_of,
    duplicate_of,
    invalid_document_of,
    reason_of,
)
from ..ranges import Query, both, ids_in
from ..views import DURABLE
from ..work import Work
from .validators import ComingValidator

_OF_THE_SAMPLE = frozenset({UNAUTHORIZED, 50, 257, 262, 263, 313})
"""Codes of what a run may not meet: rights, time, and what one transaction can hold.

MaxTimeMSExpired, TransactionTooLarge, ExceededTimeLimit,
OperationNotSupportedInTransaction, TransactionTooLargeForCache.
"""

LIMIT_S = 1.0
"""Seconds that a sample may take: as long, its documents are locked for the app."""

SIZE = 500
"""Documents in a sample, at most."""

Write = Callable[[Collection[RawBSONDocument], Query, ClientSession], object]
"""Writes the documents that a query finds, in the transaction of the session."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """How a sample went.

    seconds: for one document. problem: why the batch would fail; is_duplicate: it is a
    key of a unique index. refused: why a
    validator would refuse it that the script sets before. note: why there is no
    estimate.
    """

    seconds: float | None = None
    problem: str | None = None
    refused: str | None = None
    note: str | None = None
    is_duplicate: bool = False

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
    coming: ComingValidator | None = None,
) -> Trial:
    """Read and write one batch; nothing of it stays.

    coming: the validator that the collection has by then.
    """
    target = work.db[collection]

    def attempt(session: ClientSession) -> int:
        found = target.find(
            query, shape, sort=[("_id", 1)], limit=min(size, SIZE), session=session
        )
        ids = [document["_id"] for document in found]
        before = coming.misfits(ids, session) if coming and ids else []
        if ids:
            write(target, both(ids_in(ids), query), session)
        if coming and ids:
            coming.check(ids, session, before=before)
        return len(ids)

    return on_trial(work, attempt)


def try_index(
    work: Work,
    spec: Mapping[str, Any],
    *,
    collation: Mapping[str, Any] | None,
    documents: Sequence[RawBSONDocument] = (),
) -> str | None:
    """Return why the server refuses an index, or one over documents; None: it does not.

    The index is built on a new collection, in the transaction that creates it: nothing
    of both stays. None too where that cannot be tried (before MongoDB 4.4).
    """
    name = f"_aside_{ObjectId()}"
    created = []

    def attempt(session: ClientSession) -> int:
        options = {} if collation is None else {"collation": dict(collation)}
        work.db.command({"create": name, **options}, session=session)
        created.append(name)
        work.db.command({"createIndexes": name, "indexes": [spec]}, session=session)
        if documents:
            work.db[name].insert_many(documents, session=session)
        return 0

    # A transaction that creates a collection cannot read a snapshot.
    trial = on_trial(work, attempt, read_concern="local")
    return trial.problem if created else None


def on_trial(
    work: Work,
    attempt: Callable[[ClientSession], int],
    *,
    read_concern: str = "snapshot",
) -> Trial:
    """Call a function in a transaction that is aborted; it returns its documents."""
    client = work.db.client
    with client.start_session(causal_consistency=False) as session:
        session.start_transaction(
            read_concern=ReadConcern(read_concern),
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )
        started = time.monotonic()
        try:
            with pymongo.timeout(LIMIT_S):
                documents = attempt(session)
        except PyMongoError as error:
            return _refused(error)
        except OperationError as error:
            return Trial(refused=error.what)
        finally:
            session.abort_transaction()
        took = time.monotonic() - started
    return Trial(took / documents) if documents else Trial()


def _refused(error: PyMongoError) -> Trial:
    if code_of(error) == DUPLICATE_KEY:
        twice = duplicate_of(error)
        problem = f"A unique index refuses a second document with {twice}"
        return Trial(problem=problem, is_duplicate=True)
    if code_of(error) == DOCUMENT_INVALID:
        return Trial(problem=f"The validator refuses {invalid_document_of(error)}")
    if error.timeout:
        return Trial(note=f"no estimate: a sample took more than {LIMIT_S:g} s")
    reason = reason_of(error)
    if _lasts(error):
        return Trial(problem=f"MongoDB refuses it: {reason}")
    return Trial(note=f"no estimate: the server refused a sample: {reason}")


def _lasts(error: PyMongoError) -> bool:
    """True if a run would be refused as the sample was; conflicts come and go."""
    return (
        isinstance(error, OperationFailure)
        and not error.has_error_label("TransientTransactionError")
        and code_of(error) not in _OF_THE_SAMPLE
    )
