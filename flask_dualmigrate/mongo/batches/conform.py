"""Counting documents that do not conform, with a few samples for the error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument

from ...errors import OperationError
from ..expressions.id_list import IdList
from ..expressions.ranges import Query, both
from ..expressions.raw_bson import as_array, as_document
from ..server.failures import shown
from .step_under_way import Work

_SAMPLES = 5


def refuse_if_any(
    work: Work,
    collection: str,
    query: Query,
    *,
    problem: str,
    field: str | None = None,
    hint: str | None = None,
    exempt: Sequence[str] = (),
    leaves_out: bool = False,
) -> None:
    """Raise OperationError if documents match, giving their number and a few of them.

    field: a path whose values are shown next to the `_id`s. exempt, leaves_out: as in
    Walk.
    """
    shape = {"_id": True} | ({"value": f"${field}"} if field else {})
    query = both(query, _but_those_staying(work, leaves_out))
    samples = _samples(work, collection, query, shape, exempt)
    if not samples:
        return
    count = count_left(work, collection, query, exempt)
    noun = "document" if count == 1 else "documents"
    shown = ", ".join(map(_sample, samples))
    more = ", …" if count > len(samples) else ""
    told = re.sub("^have\\b", "has", problem) if count == 1 else problem
    raise OperationError(
        f"{count} {noun} of {collection} {told}: {shown}{more}", hint=hint
    )


def count_left(
    work: Work, collection: str, query: Query, exempt: Sequence[str] = ()
) -> int:
    """Return how many documents match. exempt: as in Walk."""
    target = work.db[collection]
    if not exempt:
        return target.count_documents(query)
    stages = [*_not_exempt(query, {"_id": True}, exempt), {"$count": "count"}]
    return sum(int(found["count"]) for found in target.aggregate(stages))


def ids_left(
    work: Work,
    collection: str,
    query: Query,
    *,
    at_most: int,
    exempt: Sequence[str] = (),
    leaves_out: bool = False,
) -> IdList:
    """Return the `_id`s of documents that match. exempt, leaves_out: as in Walk."""
    query = both(query, _but_those_staying(work, leaves_out))
    stages = [*_not_exempt(query, {"_id": True}, exempt), {"$limit": at_most}]
    return IdList.of(work.db[collection].aggregate(stages))


def _but_those_staying(work: Work, leaves_out: bool) -> Query:
    """Return the filter that leaves out what an undo left, if it must be left out."""
    if not (leaves_out and work.record.again):
        return {}
    ids = IdList(as_array(_id for _id, _ in work.bench.staying.left(work.record)))
    return {"_id": RawBSONDocument(as_document(ids.named("$nin")))}


def _samples(
    work: Work,
    collection: str,
    query: Query,
    shape: Mapping[str, Any],
    exempt: Sequence[str],
) -> list[RawBSONDocument]:
    target = work.db[collection]
    if not exempt:
        return list(target.find(query, shape, limit=_SAMPLES))
    stages = [*_not_exempt(query, shape, exempt), {"$limit": _SAMPLES}]
    return list(target.aggregate(stages))


def _not_exempt(
    query: Query, shape: Mapping[str, Any], exempt: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Return the pipeline for documents that are not exempt through an aside."""
    stages: list[Mapping[str, Any]] = [{"$match": query}, {"$project": shape}]
    marks = ("put_back", "refused")
    for aside in exempt:
        found = {"from": aside, "localField": "_id", "foreignField": "_id"}
        stages += [
            {"$lookup": {**found, "as": "aside"}},
            {"$match": {f"aside.{mark}": {"$exists": False} for mark in marks}},
        ]
    return stages


def _sample(document: RawBSONDocument) -> str:
    text = shown(document["_id"])
    if "value" in document:
        text += f" ({shown(document['value'])})"
    return text
