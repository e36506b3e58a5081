"""What an operation left in documents, for comparison with what is there later."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ..expressions.id_list import IdList
from ..expressions.paths import Expr, FieldPath
from ..expressions.ranges import both, ids_in, range_of
from ..expressions.raw_bson import Element, as_document, field_of, id_key
from ..journal.written_documents import told_in
from .raw_collection import Target
from .step_under_way import Work

Shape = Mapping[str, Any]


def digest_of(document: RawBSONDocument) -> bytes:
    return hashlib.sha256(document.raw).digest()[:16]


def digests_of(
    work: Work,
    collection: str,
    ids: IdList,
    session: ClientSession | None,
    *,
    shape: Shape | None = None,
    reach: Mapping[str, Any] | None = None,
) -> list[bytes]:
    """Return each document's digest, in the order of ids; empty for a missing one.

    shape: a projection of what is compared; None: the whole document. reach: the range
    of the batch that they are in, if known.
    """
    query = both(ids_in(ids), range_of(reach or {}))
    found = work.db[collection].find(query, shape, session=session)
    digests = {id_key(document): digest_of(document) for document in found}
    return [digests.get(key, b"") for key in ids.keys]


class Fate(Enum):
    """The state an undo finds a document in: as written, as before, or neither."""

    WRITTEN = "written"
    BEFORE = "before"
    CHANGED = "changed"


def fate_of(detail: Any, now: bytes) -> Fate:
    """Classify a document by its digests. now: the digest of its current state.

    detail: what Touched has about it: the digest `is` of what was written, alone or
    with `was`, the one from before; `undoing` if its undo has begun. Without
    transactions `is` is missing if the run was killed in the middle of the batch.
    """
    told = told_in(detail)
    written = "is" not in told or now == told["is"]
    if now == told.get("was") or (told.get("undoing") and not written):
        return Fate.BEFORE
    return Fate.WRITTEN if written else Fate.CHANGED


def digest_with(_id: Element, value: Element) -> bytes:
    """Return the digest, as value_shape makes it, of a document with a given value."""
    fields = _id.named("_id").bytes, value.named("value").bytes
    return digest_of(RawBSONDocument(as_document(*fields)))


def value_shape(value: Expr) -> Shape:
    """Return the projection for the digest of one value."""
    return {"_id": True, "value": value}


def take_out_of(
    work: Work,
    collection: str,
    path: FieldPath,
    entry: Mapping[str, Any],
    session: ClientSession,
) -> IdList:
    """Remove a field from touched documents if it is still as it was written.

    entry: its details have the `standing` as `at`, and what was written as a digest,
    `is`, or as `value`; or it has `wrote`, the value that all of them got. A field that
    is gone needs no undo.
    Returns the `_id`s of the documents that have a different value now.
    """
    fields = values_in(work, collection, path, entry["ids"], session)
    stays: set[bytes] = set()
    by_depth: dict[int, set[bytes]] = defaultdict(set)
    for number, key in enumerate(entry["ids"].keys):
        if key in fields:
            detail = entry["details"][number] if entry["details"] else {}
            same = is_as_written(fields[key], detail, entry.get("wrote"))
            (by_depth[detail.get("at", 0)] if same else stays).add(key)
    for depth, keys in by_depth.items():
        Target(work, collection, session).update(
            both(ids_in(entry["ids"].only(keys)), {"$expr": path.present}),
            path.take_out(depth),
        )
    left: IdList = entry["ids"].only(stays)
    return left


def values_in(
    work: Work,
    collection: str,
    path: FieldPath,
    ids: IdList,
    session: ClientSession,
) -> dict[bytes, RawBSONDocument]:
    """Return `{_id, value}` of the documents that have a field, by the key of `_id`."""
    query = both(ids_in(ids), {"$expr": path.present})
    found = work.db[collection].find(query, value_shape(path.value), session=session)
    return {id_key(document): document for document in found}


def is_as_written(
    field: RawBSONDocument, detail: Mapping[str, Any], wrote: Element | None
) -> bool:
    """True if a document of `values_in` has the value that was written: see above."""
    if "is" in detail:
        return bool(digest_of(field) == detail["is"])
    wrote = detail.get("value", wrote)
    return wrote is None or field_of(field, "value") == wrote.named("value")
