"""Errors of pymongo and bson, in one sentence that names what they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError

from ...errors import DatabaseUnavailable, OperationError
from .errors import NOT_ALLOWED, first_line
from .validator_reasons import refused_document

DUPLICATE_KEY = 11000
DOCUMENT_INVALID = 121
UNAUTHORIZED = 13
TRANSACTIONS_UNSUPPORTED = 20
NAMESPACE_NOT_FOUND = 26
INDEX_NOT_FOUND = 27
NAMESPACE_EXISTS = 48
INDEX_OPTIONS_CONFLICT = 85
INDEX_KEY_SPECS_CONFLICT = 86
NOT_SUPPORTED_ON_VIEW = 166

_LONGEST = 200
"""The maximum length of a description or value in an error."""


@contextmanager
def told_as_operation_errors(*, step: int, where: str) -> Iterator[None]:
    """Turn what pymongo raises inside into this package's errors.

    step: index of the operation in its script; where: the revision and the operation.
    Raises DatabaseUnavailable if the connection failed, otherwise OperationError, with
    the original as its cause. Other exceptions pass.
    """
    try:
        yield
    except ConnectionFailure as error:
        raise DatabaseUnavailable(
            f"The connection to MongoDB failed: {first_line(error)}",
            where=where,
            hint="Run the same command again: it continues where this one stopped.",
        ) from error
    except OperationError as error:
        if error.step is not None:
            raise
        raise OperationError(
            error.what, step=step, where=where, hint=error.hint
        ) from error.__cause__
    except (PyMongoError, BSONError) as error:
        what, hint = _sentence(error)
        raise OperationError(what, step=step, where=where, hint=hint) from error


def shortened(text: str) -> str:
    """Shorten a text to what fits in an error."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def shown(value: Any) -> str:
    """Return a document's value for an error: as Python, shortened."""
    return shortened(repr(_plain(value)))


def _plain(value: Any) -> Any:
    """Return a value without the driver's raw documents."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def code_of(error: PyMongoError) -> int | None:
    """Return an error's server code; in a bulk write, that of the first error."""
    code = _details(error).get("code")
    return code if isinstance(code, int) else getattr(error, "code", None)


def duplicate_of(error: PyMongoError) -> str:
    """Return the key that a unique index refused, as text: `{'email': 'a@b.c'}`.

    With a collation the server reports a sort key: the value is in the document, if
    anywhere.
    """
    details = _details(error)
    value: Mapping[str, Any] = details.get("keyValue") or {}
    if not value:
        return "not reported by the server"
    names = zip(value, details.get("hexEncoded", ()), strict=False)
    by_sort_key = [name for name, is_sort_key in names if is_sort_key]
    written = details.get("op")
    written = written if isinstance(written, Mapping) else {}
    known = {n: written.get(n) if n in by_sort_key else value[n] for n in value}
    unknown = [name for name in by_sort_key if name not in written]
    for name in unknown:
        known.pop(name)
    same = f"the same {', '.join(unknown)} by the collation of the index"
    if not unknown:
        return shown(known)
    return f"{shown(known)} and {same}" if known else same


def invalid_document_of(error: PyMongoError) -> str:
    """Return which document a validator refused, and why if the server reports it."""
    return refused_document(_details(error).get("errInfo") or {}, shown)


def reason_of(error: PyMongoError) -> str:
    """Return what the server said; for a bulk write, also about which document."""
    details = _details(error)
    said = shortened(str(details.get("errmsg") or first_line(error))).rstrip(".")
    written = details.get("op")
    if isinstance(written, Mapping) and "_id" in written:
        return f"{said} (the document with _id {shown(written['_id'])})"
    return said


def _sentence(error: Exception) -> tuple[str, str | None]:
    """Return what happened, and a hint, for one error."""
    if not isinstance(error, PyMongoError):
        return f"A value cannot be stored in MongoDB: {shortened(str(error))}", None
    details = _details(error)
    message = shortened(str(details.get("errmsg") or first_line(error))).rstrip(".")
    match code_of(error):
        case code if code == DUPLICATE_KEY:
            return (
                f"A unique index refused a second document with {duplicate_of(error)}",
                None,
            )
        case code if code == DOCUMENT_INVALID:
            return f"The validator refused {invalid_document_of(error)}", None
        case code if code in NOT_ALLOWED:
            return (
                f"MongoDB refused it: {message}",
                "Grant the user of the MongoDB URI readWrite and dbAdmin.",
            )
        case code if code == TRANSACTIONS_UNSUPPORTED:
            return f"This server has no transactions: {message}", "Use a replica set."
    return f"MongoDB refused it: {message}", None


def _details(error: PyMongoError) -> Mapping[str, Any]:
    """Return the server's answer; for a bulk write, the first error in it."""
    details: Mapping[str, Any] = getattr(error, "details", None) or {}
    if isinstance(error, BulkWriteError):
        failed = details.get("writeErrors") or details.get("writeConcernErrors") or [{}]
        return dict(failed[0])
    return details
