"""Refusing beforehand what MongoDB does not do on special collections.

A view, a time-series or a capped collection refuses some operations only when they are
tried; here each refusal has its reason, and what to write instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from ...errors import OperationError
from ...ops import CreateIndex
from .best_effort import ask

Info = Mapping[str, Any]
"""An entry of listCollections."""

_KINDS = {"timeseries": "time-series collection"}
_BY_HAND = "Write the change as op.run(fn, idempotent=True)."
_LONGEST_NAMESPACE = 255
"""Bytes of `database.collection`. Source: MongoDB manual, Limits and Thresholds."""

_TTL_ON_CAPPED = (7, 1)
_TTL_ON_TIME_SERIES = (7, 0)
"""The first versions that allow such an index. Source: MongoDB manual, TTL Indexes and
Time Series Collection Limitations."""


def kind_of(info: Info) -> str:
    """Return what a collection is, in words: "view", "time-series collection", …"""
    if info["options"].get("capped"):
        return "capped collection"
    return _KINDS.get(info["type"], str(info["type"]))


def refuse_writes(name: str, info: Info) -> None:
    """Refuse to change documents that transactions cannot change."""
    if info["type"] == "view":
        raise OperationError(
            f"{name} is a view: documents cannot be changed through it",
            hint=f"Change those of {info['options'].get('viewOn')}.",
        )
    if info["type"] != "collection" or info["options"].get("capped"):
        raise OperationError(
            f"{name} is a {kind_of(info)}, which MongoDB does not let transactions "
            "write to",
            hint=_BY_HAND,
        )


def refuse_renaming(name: str, info: Info) -> None:
    if info["type"] == "view":
        raise OperationError(
            f"{name} is a view, which MongoDB cannot rename",
            hint="Create it under the new name, and drop the old one.",
        )
    if info["type"] != "collection":
        raise OperationError(
            f"{name} is a {kind_of(info)}, which MongoDB cannot rename",
            hint="Create the new one, copy the documents with op.run(), and drop the "
            "old one.",
        )


def refuse_validator(name: str, info: Info) -> None:
    if info["type"] != "collection":
        raise OperationError(f"{name} is a {kind_of(info)}, which has no validator")


def refuse_indexes(name: str, info: Info) -> None:
    if info["type"] == "view":
        raise OperationError(
            f"{name} is a view, which has no indexes",
            hint=f"A view uses those of {info['options'].get('viewOn')}.",
        )


def refuse_index(operation: CreateIndex, info: Info, db: Database[Any]) -> None:
    """Refuse an index of a kind that this collection cannot have."""
    refuse_indexes(operation.collection, info)
    options = info["options"]
    reason = None
    if info["type"] == "timeseries":
        reason = _not_on_time_series(operation, options["timeseries"], db)
    elif options.get("capped") and "expireAfterSeconds" in operation.options:
        reason = _too_early(db, _TTL_ON_CAPPED, "a TTL index")
    if reason is not None:
        raise OperationError(
            f"The index {operation.name} of {operation.collection} cannot be built: "
            f"a {kind_of(info)} takes no {reason.removeprefix('a ')}"
        )
    _refuse_lax_collation(operation, options)


def _not_on_time_series(
    operation: CreateIndex, series: Mapping[str, Any], db: Database[Any]
) -> str | None:
    """Return which feature of an index a time-series collection does not accept.

    Source: MongoDB manual, Time Series Secondary Indexes.
    """
    if operation.options.get("unique"):
        return "unique index"
    if "expireAfterSeconds" in operation.options:
        return _too_early(db, _TTL_ON_TIME_SERIES, "a TTL index")
    ways = {way for _, way in operation.keys}
    if "text" in ways:
        return "text index"
    own = {series["timeField"], series.get("metaField")}
    measured = [pair for pair in operation.keys if pair[0].split(".")[0] not in own]
    if any("$**" in field for field, _ in measured):
        return "wildcard index on measurements"
    if any(isinstance(way, str) and way != "2dsphere" for _, way in measured):
        return f"{measured[0][1]} index on measurements"
    if measured and operation.options.get("sparse"):
        return "sparse index on measurements"
    return None


def _too_early(db: Database[Any], since: tuple[int, int], what: str) -> str | None:
    told = ask(db.client.admin, {"buildInfo": 1})
    if told is None or tuple(told["versionArray"][:2]) >= since:
        return None
    return f"{what} before MongoDB {'.'.join(map(str, since))}"


def _refuse_lax_collation(operation: CreateIndex, options: Mapping[str, Any]) -> None:
    """Refuse an index that inherits a collation its kind does not support."""
    ways = {way for _, way in operation.keys} & {"text", "2d"}
    if ways and options.get("collation") and "collation" not in operation.options:
        (way, *_) = sorted(ways, key=str)
        raise OperationError(
            f"The index {operation.name} of {operation.collection} cannot be built: "
            f"the collection has a collation, and a {way} index allows none",
            hint='Pass collation={"locale": "simple"} for the index.',
        )


def refuse_long_name(db: Database[Any], name: str) -> None:
    """Refuse a collection's name that is too long in this database."""
    size = len(f"{db.name}.{name}".encode())
    if size > _LONGEST_NAMESPACE:
        shown = name if len(name) <= 40 else f"{name[:40]}…"
        raise OperationError(
            f"The name {shown} is too long: with the database name it has {size} "
            f"bytes, and MongoDB allows {_LONGEST_NAMESPACE}"
        )
