"""Shared by operations on fields: refusing documents, and keeping values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession

from ...asides.aside import Holds
from ...batches.conform import refuse_if_any
from ...batches.raw_collection import Target
from ...batches.step_under_way import Work
from ...batches.walk import Batch
from ...expressions.paths import Expr, FieldPath
from .put_back_values import put_values_back, take_values_again

FieldOperation = Any
"""An operation on a field, with `collection`, `field` and `batch_size`."""


def values_of_upgrade(work: Work, operation: FieldOperation, verb: str) -> list[str]:
    """Return the asides of values that a downgrade's operation puts back.

    verb: of the upgrade's operation that kept them.
    """
    return work.bench.asides.kept_by_upgrade(
        work.record, verb, of=operation.collection, field=operation.field
    )


def put_all_back(
    work: Work, operation: FieldOperation, path: FieldPath, *, first_phase: int
) -> None:
    """Put back what the upgrade kept, one aside per phase."""
    for phase, aside in enumerate(work.before["sources"], start=first_phase):
        put_values_back(
            work,
            aside,
            collection=operation.collection,
            path=path,
            phase=phase,
            batch_size=operation.batch_size,
        )


def take_all_again(work: Work, operation: FieldOperation, path: FieldPath) -> None:
    """Undo `put_all_back`."""
    for aside in reversed(work.before["sources"]):
        take_values_again(
            work,
            aside,
            collection=operation.collection,
            path=path,
            batch_size=operation.batch_size,
        )


def name_aside(work: Work, collection: str, field: str) -> str:
    return work.bench.asides.free_name(work.record.revision, f"{collection}.{field}")


def enter_values(work: Work, aside: str, collection: str, path: FieldPath) -> None:
    work.bench.asides.enter(
        aside, work.record, Holds.VALUES, of=collection, field=path.text
    )


def keep_values(
    work: Work,
    aside: str,
    batch: Batch,
    session: ClientSession,
    documents: Sequence[RawBSONDocument] | None = None,
) -> None:
    """Write a batch's values to an aside; a later round overwrites an earlier one."""
    kept = list(batch.documents if documents is None else documents)
    if not kept:
        return
    target = Target(work, aside, session)
    if batch.round == 0 and work.bench.transactions:
        target.insert(kept)
    else:
        target.replace(kept, upsert=True)


def standing_in(batch: Batch) -> list[dict[str, Any]]:
    return [{"at": int(document["standing"])} for document in batch.documents]


def with_digests(
    digests: Sequence[bytes], details: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return details (may be none) with the digest of what each document got."""
    places = details or [{}] * len(digests)
    return [
        {**place, "is": digest} for place, digest in zip(places, digests, strict=True)
    ]


ARRAY_HINT = (
    "Write it with op.transform(collection, fn, keep=True), a Python function called "
    "for each document."
)


def refuse_arrays(work: Work, collection: str, *paths: FieldPath) -> None:
    """Refuse documents where a path goes through an array, before anything is written.

    The path never holds there: the operation would pass, and leave every element as it
    is.
    """
    for above, (is_array, path) in _arrays_above(paths).items():
        refuse_if_any(
            work,
            collection,
            {"$expr": is_array},
            problem=f"have an array at {above}, above {path.text}",
            field=above,
            hint=ARRAY_HINT,
        )


def note_arrays(work: Work, collection: str, *paths: FieldPath) -> None:
    """Note how many documents got an array above a field while others were written."""
    for above, (is_array, path) in _arrays_above(paths).items():
        count = work.db[collection].count_documents({"$expr": is_array})
        if count:
            work.note(
                f"Documents of {collection} that were written meanwhile with "
                f"an array at {above}, above {path.text}, and remain so: {count}"
            )


def _arrays_above(paths: Sequence[FieldPath]) -> dict[str, tuple[Expr, FieldPath]]:
    """Return each path above some, once, with the test for its being an array."""
    found: dict[str, tuple[Expr, FieldPath]] = {}
    for path in paths:
        for above, is_array in path.arrays:
            found.setdefault(above, (is_array, path))
    return found


def refuse_barred(work: Work, collection: str, path: FieldPath) -> None:
    """Refuse documents that cannot have an embedded field, before any write.

    Those with null above it are left as they are; see `note_unfit`.
    """
    if path.parent is None:
        return
    refuse_if_any(
        work,
        collection,
        {"$expr": path.barred},
        problem=f"have a value that is not a document above {path.text}",
        field=path.parent,
        hint="Fix them first, or write the others with op.update().",
    )


def note_unfit(work: Work, collection: str, path: FieldPath) -> None:
    """Note how many documents cannot have an embedded field."""
    if path.parent is None:
        return
    arrays = {"$or": [is_array for _, is_array in path.arrays]}
    unfit = {"$and": [path.unfit, {"$not": [arrays]}]}
    count = work.db[collection].count_documents({"$expr": unfit})
    if count:
        how = "has null above it and remains"
        noun = "document"
        if count > 1:
            noun, how = "documents", "have null above it and remain"
        work.note(f"{count} {noun} of {collection} {how} without {path.text}")
