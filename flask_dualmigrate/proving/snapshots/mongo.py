"""The contents of a MongoDB database: collections, options, indexes, documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bson
from bson import json_util
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from ..scratch.mongo import MARKS
from .snapshot import Records, Snapshot, Thing

_OURS = ("_migrations", "_aside_", MARKS)
_RAW = CodecOptions(document_class=RawBSONDocument)
_JSON = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL)
_MANY = 10_000


def is_apps(name: str) -> bool:
    """Return whether a collection is the app's, not ours and not the server's."""
    return not name.startswith((*_OURS, "system."))


def mongo_snapshot(db: Database[Any]) -> Snapshot:
    """Read what the app stores there, without this package's own collections."""
    things: dict[Thing, dict[str, str]] = {}
    records: dict[str, Records] = {}
    for info in db.list_collections():
        name, kind = info["name"], info.get("type", "collection")
        if not is_apps(name):
            continue
        options = {key: as_text(value) for key, value in info["options"].items()}
        things[kind, name] = options
        if kind == "view":
            continue
        for index in db[name].list_indexes():
            things["index", f"{name}.{index['name']}"] = _index(index)
        records[name] = Records("document", _documents(db, name))
    return Snapshot(things, records)


def _index(spec: Mapping[str, Any]) -> dict[str, str]:
    left_out = ("v", "ns", "name")
    return {key: as_text(item) for key, item in spec.items() if key not in left_out}


def _documents(db: Database[Any], name: str) -> dict[str, Mapping[str, Any]]:
    """Return documents by id, with fields in their own order and each value as BSON.

    The key is the id in Extended JSON, which distinguishes 1 from "1".
    """
    found = db.get_collection(name, codec_options=_RAW).find(batch_size=_MANY)
    return {
        _id(document.get("_id")): {
            field: bson.encode({"": value}) for field, value in document.items()
        }
        for document in found
    }


def _id(value: Any) -> str:
    return f"_id {json_util.dumps(value, json_options=_RELAXED)}"


def as_text(value: Any) -> str:
    """Return a value as Extended JSON, or as it is if it is a word."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)
    return json_util.dumps(value, json_options=_JSON)


def shown(value: bytes) -> str:
    """Return a field's value, in the form from `_documents`, for people to read."""
    return json_util.dumps(bson.decode(value)[""], json_options=_RELAXED)


_RELAXED = json_util.JSONOptions(json_mode=json_util.JSONMode.RELAXED)
