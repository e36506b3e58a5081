"""Trying a batch: what a validator, an index or the server would refuse.

It is applied to copies of a few documents, in a collection created for it within a
transaction that is aborted: the app's documents are only read, never locked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from ..batches.step_under_way import Work
from ..batches.walk import read_capped
from ..expressions.id_list import IdList
from ..expressions.ranges import Query, both, ids_in
from ..server.failures import (
    DOCUMENT_INVALID,
    DUPLICATE_KEY,
    UNAUTHORIZED,
    code_of,
    duplicate_of,
    invalid_document_of,
    reason_of,
)
from ..server.views import DURABLE, collection_info, index_specs
from .taken import TakenKey, refuse_taken
from .validators import ComingValidator

_OF_THE_SAMPLE = frozenset({UNAUTHORIZED, 50, 257, 262, 263, 313})
"""Error codes that a real run may not get: rights, time, and transaction size.

MaxTimeMSExpired, TransactionTooLarge, ExceededTimeLimit,
OperationNotSupportedInTransaction, TransactionTooLargeForCache.
"""

LIMIT_S = 1.0
"""Seconds that a sample may take."""

_COPIED = frozenset({"validator", "validationLevel", "validationAction", "collation"})
"""Options of a collection that decide which documents it accepts."""

SIZE = 500
"""Documents in a sample, at most."""

NOT_TRIED = "it was not tried whether the server accepts it"

Write = Callable[[Collection[RawBSONDocument], Query, ClientSession], object]
"""Writes the documents that a query finds, in the transaction of the session."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """How a sample went.

    problem: why the batch would fail; is_duplicate: because of a key of a unique index.
    refused: why a validator that the script sets earlier would refuse it. note: why it
    was not tried.
    """

    problem: str | None = None
    refused: str | None = None
    note: str | None = None
    is_duplicate: bool = False


def try_batch(
    work: Work,
    collection: str,
    query: Query,
    write: Write,
    *,
    size: int = SIZE,
    coming: ComingValidator | None = None,
) -> Trial:
    """Write to copies of the first documents that a query finds, leaving no trace.

    coming: the validator that the collection will have by then.
    """
    found = work.db[collection].find(query, sort=[("_id", 1)], limit=min(size, SIZE))
    try:
        with pymongo.timeout(LIMIT_S):
            documents = read_capped(found)
    except PyMongoError as error:
        return _refused(error)
    ids = IdList.of(documents)

    def attempt(copy: Collection[RawBSONDocument], session: ClientSession) -> None:
        with _copying():
            copy.insert_many(
                documents, bypass_document_validation=True, session=session
            )
        there = _as_copied(coming, copy)
        before = there.misfits(ids, session) if there else []
        write(copy, both(ids_in(ids), query), session)
        if there:
            there.check(ids, session, before=before)

    return _on_copy(work, collection, attempt, ids=ids) if documents else Trial()


def try_insert(
    work: Work,
    collection: str,
    documents: Sequence[Mapping[str, Any]],
    *,
    coming: ComingValidator | None = None,
) -> Trial:
    """Insert documents into an empty copy of a collection, leaving no trace."""
    ids = [document["_id"] for document in documents]

    def attempt(copy: Collection[RawBSONDocument], session: ClientSession) -> None:
        copy.insert_many(documents, session=session)  # type: ignore[arg-type]
        there = _as_copied(coming, copy)
        if there:
            there.check(ids, session)

    return _on_copy(work, collection, attempt, ids=ids)


def _as_copied(
    coming: ComingValidator | None, copy: Collection[RawBSONDocument]
) -> ComingValidator | None:
    return coming and dataclasses.replace(coming, collection=copy.name)


def _on_copy(
    work: Work,
    collection: str,
    attempt: Callable[[Collection[RawBSONDocument], ClientSession], None],
    *,
    ids: Sequence[Any],
) -> Trial:
    """Try on a new collection with the validator and indexes of another one.

    ids: of the written documents, to look for their keys among the others.
    """
    info = collection_info(work.db, collection) or {"options": {}}
    options = {key: info["options"][key] for key in _COPIED & info["options"].keys()}
    specs = index_specs(work.db, collection)
    indexes = [
        {key: value for key, value in spec.items() if key not in ("v", "ns")}
        for spec in specs.values()
        if spec["name"] != "_id_" and not spec.get("clustered")
    ]
    name = f"_aside_{ObjectId()}"
    copy = work.db[name]

    def on_it(session: ClientSession) -> None:
        work.db.command({"create": name, **options}, session=session)
        if indexes:
            work.db.command(
                {"createIndexes": name, "indexes": indexes}, session=session
            )
        attempt(copy, session)
        for spec in indexes:
            if spec.get("unique"):
                written = list(copy.find({}, session=session))
                refuse_taken(work.db[collection], spec, written, ids)

    return on_trial(work, on_it)


def try_index(
    work: Work,
    spec: Mapping[str, Any],
    *,
    collation: Mapping[str, Any] | None,
    documents: Sequence[RawBSONDocument] = (),
) -> str | None:
    """Return why the server refuses an index, or documents in it; None: it does not.

    The index is built on a new collection, in the transaction that creates it, so
    neither remains. Also None if that cannot be tried (before MongoDB 4.4).
    """
    name = f"_aside_{ObjectId()}"
    created = []

    def attempt(session: ClientSession) -> None:
        options = {} if collation is None else {"collation": dict(collation)}
        work.db.command({"create": name, **options}, session=session)
        created.append(name)
        work.db.command({"createIndexes": name, "indexes": [spec]}, session=session)
        if documents:
            work.db[name].insert_many(documents, session=session)

    trial = on_trial(work, attempt)
    return trial.problem if created else None


class NotCopied(Exception):
    """The data could not be copied for a trial, which says nothing about a run."""


@contextmanager
def _copying() -> Iterator[None]:
    try:
        yield
    except OperationFailure as error:
        raise NotCopied(f"no copy of a sample: {reason_of(error)}") from error


def on_trial(work: Work, attempt: Callable[[ClientSession], None]) -> Trial:
    """Call a function in a transaction that is aborted."""
    client = work.db.client
    with client.start_session(causal_consistency=False) as session:
        session.start_transaction(
            # A transaction that creates a collection cannot read a snapshot.
            read_concern=ReadConcern("local"),
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )
        try:
            with pymongo.timeout(LIMIT_S):
                attempt(session)
        except PyMongoError as error:
            return _refused(error)
        except NotCopied as error:
            return Trial(note=f"{NOT_TRIED}: {error}")
        except TakenKey as error:
            return Trial(problem=str(error), is_duplicate=True)
        except OperationError as error:
            return Trial(refused=error.what)
        finally:
            session.abort_transaction()
    return Trial()


def _refused(error: PyMongoError) -> Trial:
    if code_of(error) == DUPLICATE_KEY:
        twice = duplicate_of(error)
        problem = f"A unique index refuses a second document with {twice}"
        return Trial(problem=problem, is_duplicate=True)
    if code_of(error) == DOCUMENT_INVALID:
        return Trial(problem=f"The validator refuses {invalid_document_of(error)}")
    if error.timeout:
        return Trial(note=f"{NOT_TRIED}: a sample took more than {LIMIT_S:g} s")
    reason = reason_of(error)
    if _lasts(error):
        return Trial(problem=f"MongoDB refuses it: {reason}")
    return Trial(note=f"{NOT_TRIED}: the server refused a sample: {reason}")


def _lasts(error: PyMongoError) -> bool:
    """True if a run would be refused like the sample; write conflicts are temporary."""
    return (
        isinstance(error, OperationFailure)
        and not error.has_error_label("TransientTransactionError")
        and code_of(error) not in _OF_THE_SAMPLE
    )
