"""Which documents a unique index would refuse, and which definitions stand in the way.

Source: MongoDB manual, Unique Indexes (missing counts as null; the elements of an array
are keys of their own; sparse and partial indexes leave documents out).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...backend import Failing
from ...ops import CreateIndex, DropIndex
from ..failures import shown
from ..ranges import Query
from ..transactions import supports_transactions
from ..views import ExactDatabase, collection_info, index_specs
from .counting import SAMPLES, Count, aggregate
from .look import Look, Told
from .sample import try_index

_SAME = ("collation", "partialFilterExpression", "sparse", "unique")
"""Options that tell two indexes on one key apart."""


def tell_create_index(look: Look[CreateIndex]) -> Told:
    told = Told(builds=True)
    if look.problem is not None:
        return told
    if not look.is_there:
        told.matches = Count(0)
        _try_specification(look, told)
        return told
    options: Mapping[str, Any] = look.work.native(look.operation.options)
    specs = index_specs(look.db, look.collection)
    if look.operation.name in specs:
        _tell_namesake(look, specs[look.operation.name], told)
        return told
    twin = _twin(look.operation, options, specs)
    if twin is not None and not look.names.eased(look.said.collection):
        told.problems.append(
            f"{look.operation.name} has the same key as the index {twin}, which is "
            "there under that name"
        )
    indexed = _indexed(look.operation, options)
    told.matches = look.count(indexed)
    _try_specification(look, told)
    if told.lasting:
        return told
    if options.get("unique"):
        _tell_duplicates(look, options, indexed, told)
    return told


def _try_specification(look: Look[CreateIndex], told: Told) -> None:
    """Let the server read the definition: on a collection that is never committed."""
    info = collection_info(look.db, look.collection) if look.is_there else None
    if not supports_transactions(look.db):
        return
    refused = try_index(
        look.work,
        {
            "key": dict(look.operation.keys),
            "name": look.operation.name,
            **look.work.native(look.operation.options),
        },
        collation=info["options"].get("collation") if info else None,
    )
    if refused is not None:
        told.lasting.append(refused)


def _tell_namesake(
    look: Look[CreateIndex], spec: Mapping[str, Any], told: Told
) -> None:
    name = look.operation.name
    if (
        list(spec["key"].items()) == [*look.operation.keys]
        or "text" in dict(look.operation.keys).values()
    ):
        told.notes.append(f"{name} is there already")
    else:
        told.problems.append(
            f"{look.collection} has an index {name} already, with another key: "
            f"{dict(spec['key'])!r}"
        )


def _twin(
    operation: CreateIndex, options: Mapping[str, Any], specs: Mapping[str, Any]
) -> str | None:
    for name, spec in specs.items():
        same_key = list(spec["key"].items()) == [*operation.keys]
        if same_key and all(spec.get(key) == options.get(key) for key in _SAME):
            return name
    return None


def _indexed(operation: CreateIndex, options: Mapping[str, Any]) -> Query:
    """Return the filter for the documents that go into the index."""
    partial: Query | None = options.get("partialFilterExpression")
    if partial is not None:
        return partial
    if options.get("sparse"):
        return {"$or": [{field: {"$exists": True}} for field, _ in operation.keys]}
    return {}


def _tell_duplicates(
    look: Look[CreateIndex], options: Mapping[str, Any], indexed: Query, told: Told
) -> None:
    found = duplicates(look.db, look.collection, look.operation, options, indexed)
    if found is None:
        told.notes.append("whether all keys differ could not be told in time")
        return
    total = found["total"]
    if not total:
        return
    shown = tuple(_shown(look.operation, key) for key in found["samples"])
    documents, keys = int(total[0]["documents"]), int(total[0]["keys"])
    told.failing.append(Failing("duplicate", documents, shown))
    noun = "one key" if keys == 1 else f"{keys} keys"
    more_keys = ", …" if keys > len(shown) else ""
    told.problems.append(
        f"The unique index {look.operation.name} cannot be built: {documents} "
        f"documents share {noun}: {', '.join(shown)}{more_keys}"
    )


def duplicates(
    db: ExactDatabase,
    collection: str,
    index: CreateIndex,
    options: Mapping[str, Any] | None = None,
    indexed: Query | None = None,
) -> dict[str, Any] | None:
    """Return the total, and samples, of the documents that share a key.

    options: those of the index, as the driver takes them; indexed: the filter of what
    goes into it. None: it took too long.
    """
    options = index.options if options is None else options
    indexed = _indexed(index, options) if indexed is None else indexed
    collation = options.get("collation")
    more = {} if collation is None else {"collation": dict(collation)}
    stages = [{"$match": indexed}, *_by_key(index), *_summed()]
    found = aggregate(db, collection, stages, **more)
    return None if found is None else found[0]


def _by_key(operation: CreateIndex) -> list[dict[str, Any]]:
    """Return the stages that group documents by what the index has as their keys."""
    names = [f"k{number}" for number in range(len(operation.keys))]
    fields = [field for field, _ in operation.keys]
    stages: list[dict[str, Any]] = [
        {"$project": {n: _keys_of(f) for n, f in zip(names, fields, strict=True)}}
    ]
    stages += [{"$unwind": f"${name}"} for name in names]
    key = {name: f"${name}" for name in names}
    # One document may have a key twice, in an array: that is no duplicate.
    stages.append({"$group": {"_id": {"document": "$_id", "key": key}}})
    stages.append(
        {
            "$group": {
                "_id": "$_id.key",
                "documents": {"$sum": 1},
                "first": {"$min": "$_id.document"},
                "last": {"$max": "$_id.document"},
            }
        }
    )
    return [*stages, {"$match": {"documents": {"$gt": 1}}}]


def _keys_of(field: str) -> dict[str, Any]:
    """Return the expression of the keys that a field gives: an array of them."""
    value = f"${field}"
    empty = {"$literal": [{"": "an empty array"}]}
    elements = {"$cond": [{"$eq": [value, []]}, empty, value]}
    return {"$cond": [{"$isArray": value}, elements, [{"$ifNull": [value, None]}]]}


def _summed() -> list[dict[str, Any]]:
    total = {
        "$group": {
            "_id": None,
            "keys": {"$sum": 1},
            "documents": {"$sum": "$documents"},
        }
    }
    most_first = [{"$sort": {"documents": -1, "_id": 1}}, {"$limit": SAMPLES}]
    return [{"$facet": {"total": [total], "samples": most_first}}]


def _shown(operation: CreateIndex, found: Mapping[str, Any]) -> str:
    key = {
        field: found["_id"].get(f"k{number}")
        for number, (field, _) in enumerate(operation.keys)
    }
    first, last = shown(found["first"]), shown(found["last"])
    count = found["documents"]
    which = f"_id {first} and {last}" if count == 2 else f"{count}, such as {first}"
    return f"{shown(key)} ({which})"


def tell_drop_index(look: Look[DropIndex]) -> Told:
    told = Told()
    said = look.said
    if look.names.makes_index(said.collection, said.name):
        return told
    there = look.is_there and said.name in index_specs(look.db, look.collection)
    if not there:
        told.notes.append(f"{said.collection} has no index {said.name}: nothing to do")
    return told
