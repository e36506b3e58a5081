"""What MongoDB reports about indexes: listIndexes, $indexStats, $collStats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from ...errors import UsageError
from ...indexes import FoundIndex, Listing, State
from ...revisions import BackendName
from ..server.errors import NOT_ALLOWED
from ..server.failures import NAMESPACE_NOT_FOUND
from ..server.views import NATIVE

_NOT_OPTIONS = ("v", "ns", "key", "name", "background")
OURS = ("system.", "_migrations", "_aside_")
_UNKNOWN_FIELD = (9, 40415, 303)
"""Codes of a server that does not know includeBuildUUIDs."""


def read(db: Database[Any], place: str | None, *, usage: bool = True) -> Listing:
    """Return the indexes of one collection, or of all except our own.

    usage: ask for sizes and uses too; they are None if that is not allowed. Raises
    UsageError for a collection that does not exist, or is a view.
    """
    kinds = {info["name"]: info["type"] for info in _collections(db)}
    if place is not None:
        _require(place, kinds)
        chosen = [place]
    else:
        chosen = sorted(name for name, kind in kinds.items() if _is_listed(name, kind))
    notes: dict[str, None] = {}
    indexes = [i for name in chosen for i in _read(db, name, notes, usage=usage)]
    return Listing(tuple(indexes), tuple(notes))


def _is_listed(name: str, kind: str) -> bool:
    return kind != "view" and not name.startswith(OURS)


def _require(place: str, kinds: Mapping[str, str]) -> None:
    if place not in kinds:
        raise UsageError(
            f"Collection {place} does not exist",
            hint="List them with: flask db-migrate index list",
        )
    if kinds[place] == "view":
        raise UsageError(
            f"{place} is a view: it has no indexes of its own",
            hint="Its queries use those of the underlying collection.",
        )
    if not _is_listed(place, kinds[place]):
        raise UsageError(
            f"{place} does not belong to the app: it is reserved for migrations",
            hint="List the app's with: flask db-migrate index list",
        )


def _read(
    db: Database[Any], place: str, notes: dict[str, None], *, usage: bool
) -> Iterator[FoundIndex]:
    entries = list(_entries(db, place))
    sizes = _noted(_sizes, db, place, notes, "sizes") if usage else {}
    uses = _noted(_uses, db, place, notes, "how often they were used") if usage else {}
    for spec, building in entries:
        options = {k: v for k, v in spec.items() if k not in _NOT_OPTIONS}
        key = spec["key"]
        if "weights" in options:
            key = _key_of_text(key, options["weights"])
        state = State.HIDDEN if options.get("hidden") else State.READY
        used = uses.get(spec["name"], {})
        yield FoundIndex(
            BackendName.MONGO,
            place,
            spec["name"],
            tuple(key.items()),
            options,
            State.BUILDING if building else state,
            size_bytes=sizes.get(spec["name"]),
            uses=used.get("ops"),
            since=used.get("since"),
        )


def _key_of_text(
    key: Mapping[str, Any], weights: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return a text index's key as it was declared, not as it is stored."""
    found: dict[str, Any] = {}
    for name, way in key.items():
        if name == "_fts":
            found |= dict.fromkeys(weights, "text")
        elif name != "_ftsx":
            found[name] = way
    return found


def specs(db: Database[Any], place: str) -> dict[str, dict[str, Any]]:
    """Return name -> specification, as createIndexes takes it; {} for no collection."""
    return {
        spec["name"]: {k: v for k, v in spec.items() if k not in ("v", "ns")}
        for spec, _ in _entries(db, place)
    }


def states(db: Database[Any], place: str) -> dict[str, State]:
    """Return name -> BUILDING or READY."""
    return {
        spec["name"]: State.BUILDING if building else State.READY
        for spec, building in _entries(db, place)
    }


def collations(db: Database[Any]) -> dict[str, Mapping[str, Any]]:
    """Return collection -> default collation, for those that have one."""
    found = {info["name"]: info.get("options", {}) for info in _collections(db)}
    return {n: opts["collation"] for n, opts in found.items() if "collation" in opts}


def time_series(db: Database[Any]) -> dict[str, tuple[str, ...]]:
    """Return time-series collection -> its metaField and timeField."""
    found = {
        info["name"]: info["options"].get("timeseries", {})
        for info in _collections(db)
        if info["type"] == "timeseries"
    }
    return {
        n: (opts.get("metaField", ""), opts["timeField"]) for n, opts in found.items()
    }


def _collections(db: Database[Any]) -> list[dict[str, Any]]:
    names = db.with_options(codec_options=NATIVE).list_collections()
    return [dict(info) for info in names]


def _entries(db: Database[Any], place: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each specification, and whether it is still being built."""
    query: dict[str, Any] = {"listIndexes": place, "includeBuildUUIDs": True}
    query["cursor"] = {"batchSize": 1000}  # MongoDB allows 64 indexes a collection
    try:
        answer = db.command(query, codec_options=NATIVE)
    except OperationFailure as error:
        if error.code == NAMESPACE_NOT_FOUND:
            return
        if error.code not in _UNKNOWN_FIELD:
            raise
        query.pop("includeBuildUUIDs")
        answer = db.command(query, codec_options=NATIVE)
    for entry in answer["cursor"]["firstBatch"]:
        yield dict(entry.get("spec", entry)), "buildUUID" in entry


def _noted(
    ask: Any, db: Database[Any], place: str, notes: dict[str, None], what: str
) -> dict[str, Any]:
    try:
        return dict(ask(db, place))
    except OperationFailure as error:
        if error.code in NOT_ALLOWED:
            notes[f"The user of MONGO_URI may not see {what} (role clusterMonitor)"] = (
                None
            )
        elif error.code != NAMESPACE_NOT_FOUND:
            notes[f"MongoDB does not report {what} of {place}"] = None
        return {}


def _sizes(db: Database[Any], place: str) -> dict[str, int]:
    """Return name -> size in bytes, summed over all shards."""
    found: dict[str, int] = {}
    for shard in _aggregate(db, place, {"$collStats": {"storageStats": {}}}):
        for name, size in shard["storageStats"].get("indexSizes", {}).items():
            found[name] = found.get(name, 0) + int(size)
    return found


def _uses(db: Database[Any], place: str) -> dict[str, dict[str, Any]]:
    """Return name -> ops and since: summed over all shards, since the latest start."""
    found: dict[str, dict[str, Any]] = {}
    for row in _aggregate(db, place, {"$indexStats": {}}):
        accesses = row["accesses"]
        there = found.setdefault(row["name"], {"ops": 0, "since": accesses["since"]})
        there["ops"] += int(accesses["ops"])
        there["since"] = max(there["since"], accesses["since"])
    return found


def _aggregate(
    db: Database[Any], place: str, stage: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    collection = db.get_collection(place).with_options(codec_options=NATIVE)
    yield from collection.aggregate([stage])
