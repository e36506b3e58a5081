"""Passing documents through a function of the script, and finding what it changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bson
from bson import DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from ...errors import DualMigrateError, OperationError
from ...ops import Transform
from ...runtime.user_code import FAILURES
from ..expressions.raw_bson import field_of, id_of, key_of, repeated_name, with_bytes_of
from ..server.failures import shown
from .step_under_way import Work

TransformFn = Callable[[dict[str, Any]], dict[str, Any] | None]


def transformed(
    work: Work,
    operation: Transform,
    function: TransformFn,
    documents: Sequence[RawBSONDocument],
) -> list[tuple[RawBSONDocument, RawBSONDocument]]:
    """Return (old, new) for each document that a function changes.

    What it leaves alone in them keeps its bytes, even if PyMongo would change them.
    """
    changed = []
    for old in documents:
        whole = bytes(old.raw)
        document = _decoded(work, operation, old)
        read = work.encoded(document)
        result = _call(function, document, operation, old)
        if result is None:
            continue
        new = work.encoded(result)
        if read != whole:
            new = with_bytes_of(whole, read, new)
        if new != whole:
            changed.append((old, RawBSONDocument(new)))
            _refuse_other_id(operation, *changed[-1])
    return changed


def _decoded(work: Work, operation: Transform, old: RawBSONDocument) -> dict[str, Any]:
    """Return a document as the app would read it, for the function."""
    options = work.bench.app_db.codec_options.with_options(
        document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    try:
        document: dict[str, Any] = bson.decode(old.raw, codec_options=options)
    except BSONError as error:
        raise OperationError(
            f"transform() cannot read {_named(operation, old)}: {error}",
            hint="Fix it with op.update(), or exclude it with filter=….",
        ) from error
    if (name := repeated_name(bytes(old.raw))) is not None:
        raise OperationError(
            f"transform() would lose a value of {_named(operation, old)}: it "
            f"contains the field {name} twice",
            hint="Fix it first, or exclude it with filter=….",
        )
    return document


def _call(
    function: TransformFn,
    document: dict[str, Any],
    operation: Transform,
    old: RawBSONDocument,
) -> Mapping[str, Any] | None:
    try:
        result: Any = function(document)
    except DualMigrateError:
        raise
    except FAILURES as error:
        name = getattr(function, "__name__", "the function")
        raise OperationError(
            f"{name}() raised {type(error).__name__}: {error}, on "
            f"{_named(operation, old)}"
        ) from error
    if result is None or isinstance(result, Mapping):
        return result
    raise OperationError(
        f"transform() of {operation.collection} returned {shown(result)} "
        f"for {_named(operation, old)}, which is not a document",
        hint="Return the document to store, or None to leave it unchanged.",
    )


def _refuse_other_id(
    operation: Transform, old: RawBSONDocument, new: RawBSONDocument
) -> None:
    there = field_of(new, "_id")
    if there is not None and key_of(there) == key_of(id_of(old)):
        return
    raise OperationError(
        f"transform() returned a different _id for {_named(operation, old)}",
        hint="Return the same document, changed, or None to leave it unchanged.",
    )


def _named(operation: Transform, document: RawBSONDocument) -> str:
    _id = shown(document["_id"])
    return f"the document with _id {_id} of {operation.collection}"
