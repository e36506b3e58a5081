"""Counting documents, and the nulls and types of fields."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pymongo.database import Database

from ..backend import FieldFacts
from ..backend.data import Counts
from .expressions.paths import FieldPath
from .indexes.reading import OURS
from .server.views import NATIVE

_NO_VALUE = ["missing", "null", "undefined"]


def count_documents(
    db: Database[Any], names: Collection[str] | None, limit: int
) -> Counts:
    """Count the documents of the app's collections, of views only if they are named."""
    query = {"type": {"$ne": "view"}} if names is None else {}
    bounded: dict[str, Any] = {"limit": limit} if limit else {}
    return {
        name: db[name].count_documents({}, **bounded)
        for name in sorted(db.list_collection_names(filter=query))
        if not name.startswith(OURS) and (names is None or name in names)
    }


def field_values(
    db: Database[Any],
    collection: str,
    key: str,
    fields: Sequence[str],
    *,
    keys: Sequence[Any],
) -> list[dict[str, Any]]:
    """Return fields of the documents with these keys; missing ones are left out.

    A field that is reached through an array counts as missing.
    """
    if not keys:
        return []
    options = NATIVE.with_options(unicode_decode_error_handler="surrogateescape")
    target = db.get_collection(collection).with_options(codec_options=options)
    found = target.find({key: {"$in": [*keys]}}, dict.fromkeys([key, *fields], True))
    return [
        {field: value for field in (key, *fields) for value in _at(document, field)}
        for document in found
    ]


def _at(document: Any, field: str) -> list[Any]:
    """Return the value at a path, as a list: empty if there is none."""
    value = document
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            return []
        value = value[part]
    return [value]


def field_facts(
    db: Database[Any], collection: str, fields: Sequence[str]
) -> dict[str, FieldFacts]:
    """Count the documents without a value, and list the types, in one pass."""
    group: dict[str, Any] = {"_id": None, "total": {"$sum": 1}}
    for number, field in enumerate(fields):
        kind = {"$type": FieldPath(field).value}
        group[f"n{number}"] = {"$sum": {"$cond": [{"$in": [kind, _NO_VALUE]}, 1, 0]}}
        group[f"t{number}"] = {"$addToSet": kind}
    target = db.get_collection(collection).with_options(codec_options=NATIVE)
    for found in target.aggregate([{"$group": group}]):
        return {
            field: FieldFacts(
                int(found[f"n{number}"]),
                int(found["total"]),
                frozenset(found[f"t{number}"]) - set(_NO_VALUE),
            )
            for number, field in enumerate(fields)
        }
    return {field: FieldFacts(0, 0) for field in fields}
