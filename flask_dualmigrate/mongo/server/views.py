"""An exact view of a database: what is read can be written back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from ...errors import OperationError
from ...runtime.crashpoints import around
from .failures import (
    NAMESPACE_EXISTS,
    NAMESPACE_NOT_FOUND,
    NOT_SUPPORTED_ON_VIEW,
)
from .time_limit import unhurried

DURABLE = WriteConcern("majority", j=True)
"""An acknowledged write survives the loss of the primary."""

EXACT: CodecOptions[RawBSONDocument] = CodecOptions(
    document_class=RawBSONDocument,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="surrogateescape",
)
"""Documents remain raw bytes, so that they can be restored exactly."""

NATIVE: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
"""For what we write ourselves, and for the answers of commands."""

ExactDatabase = Database[RawBSONDocument]


def exact_view(db: Database[Any]) -> ExactDatabase:
    """Return the same database, read and written byte for byte and durably.

    The app's own options (a secondary as read preference, w=1, a type registry) do not
    apply to it.
    """
    client: MongoClient[RawBSONDocument] = db.client
    return Database(
        client,
        db.name,
        codec_options=EXACT,
        read_preference=ReadPreference.PRIMARY,
        write_concern=DURABLE,
        read_concern=ReadConcern("majority"),
    )


def native(db: Database[Any], name: str) -> Collection[dict[str, Any]]:
    """Return one of our own collections, with its documents as dicts."""
    return db.get_collection(name).with_options(codec_options=NATIVE)


_session: ContextVar[ClientSession | None] = ContextVar("session", default=None)


@contextmanager
def sent_in(session: ClientSession) -> Iterator[None]:
    """Send the commands inside in a session that the next run can end.

    A command that waits for a collection's lock outlives its client: it would take
    effect after another run has undone what it belongs to.
    """
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


def _current() -> ClientSession | None:
    session = _session.get()
    return None if session is None or session.in_transaction else session


@around("mongo.command")
def command(db: Database[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Send a command that writes; wait until its effect survives a lost primary."""
    durable = {**document, "writeConcern": DURABLE.document}
    # The build of an index must outlive us: the next run joins it.
    session = None if "createIndexes" in document else _current()
    with unhurried(db.client):
        return db.command(durable, codec_options=NATIVE, session=session)


@around("mongo.rename")
def rename(db: Database[Any], old: str, new: str) -> None:
    """Rename a collection.

    The command of a run that was killed may have waited for the same lock, and come
    first: the collection is then already renamed.
    """
    try:
        with unhurried(db.client):
            db[old].rename(new, session=_current())
    except OperationFailure as error:
        if error.code != NAMESPACE_NOT_FOUND or collection_info(db, new) is None:
            raise


@around("mongo.drop")
def drop(db: Database[Any], name: str) -> None:
    """Drop a collection; a missing one is fine."""
    with unhurried(db.client):
        db.drop_collection(name, session=_current())


def collection_info(db: Database[Any], name: str) -> dict[str, Any] | None:
    """Return the entry of listCollections for a name; None if there is none."""
    query = {"listCollections": 1, "filter": {"name": name}}
    found = db.command(query, codec_options=NATIVE)["cursor"]["firstBatch"]
    return dict(found[0]) if found else None


def index_specs(db: Database[Any], collection: str) -> dict[str, dict[str, Any]]:
    """Return the indexes of a collection, name -> full specification.

    Unfinished builds are included. A missing collection, or a view, has none.
    """
    try:
        specs = list(native(db, collection).list_indexes())
    except OperationFailure as error:
        if error.code != NOT_SUPPORTED_ON_VIEW:
            raise
        return {}
    return {spec["name"]: dict(spec) for spec in specs}


def ensure_collection(db: Database[Any], name: str) -> None:
    """Create a collection unless it exists.

    Done outside of transactions: creating one inside conflicts with other writers.
    """
    try:
        command(db, {"create": name})
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise


def as_stored(values: Mapping[str, Any], app_db: Database[Any], *, what: str) -> bytes:
    """Return a document as the app would store it. what: the source of its values.

    Raises OperationError for a value that has no BSON type.
    """
    try:
        return bson.encode(values, codec_options=app_db.codec_options)
    except (BSONError, OverflowError, TypeError, ValueError) as error:
        raise OperationError(
            f"{what} has a value that MongoDB cannot store: {error}"
        ) from error


def same_bson(left: Any, right: Any) -> bool:
    """True if two values have the same bytes; 1 and 1.0 do not."""
    return as_bytes(left) == as_bytes(right)


def as_bytes(value: Any) -> bytes:
    """Return a value as BSON: a key for a set or a dict, whatever its type."""
    return bson.encode({"": value}, codec_options=EXACT)
