"""The indexes of the MongoDB side: read, compared, built, dropped and rebuilt."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import bson
from pymongo.database import Database

from ...errors import OperationError, UsageError
from ...indexes import (
    DeclaredIndex,
    DeclaredIndexes,
    Definition,
    Difference,
    FoundIndex,
    Listing,
    OnBuild,
    Remedy,
    State,
    compare,
    normalise,
)
from ...indexes.comparison import STAND_IN, key_text
from ...revisions import BackendName
from ..server.views import NATIVE, as_stored, exact_view
from . import reading
from .builds import build, driver_words, drop, modify, watch
from .stand_ins import original, stand_in

_POLL_S = 0.5
_pause = time.sleep


class MongoIndexes:
    """The indexes of one database.

    db: the app's own `mongo.db`. declared: returns what should be there; called when
    needed. require_lock: raises if the lock was lost; called before each change.
    """

    name = BackendName.MONGO

    def __init__(
        self,
        db: Database[Any],
        declared: Callable[[], DeclaredIndexes],
        *,
        require_lock: Callable[[], None],
    ) -> None:
        self._app_db = db
        self._db = exact_view(db)
        self._declared = declared
        self._require_lock = require_lock

    def read(self, place: str | None) -> Listing:
        with driver_words("list indexes"):
            return reading.read(self._db, place)

    def diff(self, place: str | None) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        declared = self._declared()
        indexes = tuple(map(self._stored, declared.indexes))
        with driver_words("list indexes"):
            listing = reading.read(self._db, None, usage=False)
            collations = reading.collations(self._db)
            time_series = reading.time_series(self._db)
        wanted = {(item.place, item.name) for item in indexes}
        found = [
            item
            for item in listing.indexes
            if (item.place, item.name) in wanted
            or not _is_the_servers(item, time_series)
        ]
        every = compare(indexes, found, collations=collations)
        if place is not None and not any(item.place == place for item in every):
            # Says why, if there is none of that name.
            reading.read(self._db, place, usage=False)
        chosen = tuple(item for item in every if place in (None, item.place))
        return chosen, (*declared.notes, *listing.notes)

    def _stored(self, index: DeclaredIndex) -> DeclaredIndex:
        """Return an index with its option values as MongoDB would store them.

        So a date is UTC without microseconds; a UUID is what the app stores.
        """
        what = f"The index {index.name} of {index.place}"
        data = as_stored(index.options, self._app_db, what=what)
        options: dict[str, Any] = bson.decode(data, NATIVE)
        return dataclasses.replace(index, options=options)

    def fix(self, difference: Difference, on_build: OnBuild) -> None:
        index, found = difference.declared, difference.found
        assert index is not None
        spec = {"key": dict(index.key), "name": index.name, **index.options}
        match difference.remedy:
            case Remedy.CREATE:
                self._build(difference.place, spec, on_build)
            case Remedy.MODIFY:
                self._require_lock()
                modify(self._db, difference.place, index.name, difference.changes)
            case Remedy.REPLACE:
                assert found is not None
                old = (found.name, *difference.also)
                self._replace(difference.place, old, spec, on_build)

    def drop(self, place: str, name: str, *, hidden_for_s: float = 0.0) -> None:
        """Hide an index, so that queries do without it, wait, and drop it.

        Whatever stops this before the drop, including Ctrl-C, brings the index back.
        """
        self.require(place, name)
        self._require_lock()
        is_building = reading.states(self._db, place)[name] is State.BUILDING
        if is_building or self._specs(place)[name].get("hidden"):
            drop(self._db, place, name)
            return
        modify(self._db, place, name, {"hidden": True})
        try:
            _pause(hidden_for_s)
            self._require_lock()
            drop(self._db, place, name)
        except BaseException:
            if name in self._specs(place):
                modify(self._db, place, name, {"hidden": False})
            raise

    def rebuild(self, place: str, name: str, on_build: OnBuild) -> None:
        specs = self._specs(place)
        spec = specs.get(name)
        if spec is None and STAND_IN + name in specs:
            spec = original(specs[STAND_IN + name], name)
        if spec is None:
            raise UsageError(
                f"{place} no longer has an index {name}",
                hint="List its indexes with: flask db-migrate index list",
            )
        self._wait(place, name, on_build)
        self._replace(place, (name,), spec, on_build)

    def _replace(
        self,
        place: str,
        old: Sequence[str],
        spec: Mapping[str, Any],
        on_build: OnBuild,
    ) -> None:
        """Replace an index by another one, without a moment in which neither exists.

        Meanwhile an index stands in that covers the same documents and enforces the
        same; the server sees its filter as a different one. See stand_ins.
        """
        substitute = stand_in(place, spec)
        name, specs = substitute["name"], self._specs(place)
        _refuse_twin(place, spec, specs, leaving=(*old, name))
        # If the old one is gone, a rebuild was stopped: the stand-in is already there.
        if not (name in specs and specs.keys().isdisjoint(old)):
            if name in specs:
                self._wait(place, name, on_build)
                drop(self._db, place, name)
            self._build(place, substitute, on_build)
        for each in old:
            self._require_lock()
            drop(self._db, place, each)
        self._build(place, spec, on_build)
        self._require_lock()
        drop(self._db, place, name)

    def _build(self, place: str, spec: Mapping[str, Any], on_build: OnBuild) -> None:
        self._require_lock()
        build(self._db, place, spec, on_build)

    def wait(self, difference: Difference, on_build: OnBuild) -> None:
        assert difference.found is not None
        self._wait(difference.place, difference.found.name, on_build)

    def _wait(self, place: str, name: str, on_build: OnBuild) -> None:
        """Wait as long as it takes: giving up on a build does not make it faster."""
        while True:
            with driver_words("list indexes"):
                states = reading.states(self._db, place)
            if states.get(name) is not State.BUILDING:
                return
            watch(self._db, place, name, on_build)
            _pause(_POLL_S)

    def require(self, place: str, name: str, *, to_drop: bool = True) -> str:
        with driver_words("list indexes"):
            reading.read(self._db, place, usage=False)
        specs = self._specs(place)
        if name == "_id_":
            raise UsageError(
                f"The index on _id of {place} cannot be dropped or rebuilt",
                hint="MongoDB maintains it: there is nothing to do.",
            )
        if name not in specs and (to_drop or STAND_IN + name not in specs):
            known = ", ".join(sorted(specs.keys() - {"_id_"})) or "none but _id_"
            raise UsageError(f"{place} has no index {name}", hint=f"It has: {known}.")
        spec = specs.get(name) or specs[STAND_IN + name]
        return f"{place}: index {name} {key_text(tuple(spec['key'].items()))}"

    def _specs(self, place: str) -> dict[str, dict[str, Any]]:
        with driver_words("list indexes"):
            return reading.specs(self._db, place)


def _refuse_twin(
    place: str,
    spec: Mapping[str, Any],
    specs: Mapping[str, Mapping[str, Any]],
    *,
    leaving: Collection[str],
) -> None:
    """Raise, before anything is changed, if error 85 would come half-way."""
    identity = _definition(spec).identity
    for name, there in specs.items():
        if name not in leaving and _definition(there).identity == identity:
            raise OperationError(
                f"{place} has {name}, which is the index {spec['name']} "
                "under another name: MongoDB allows only one",
                hint=f"Drop it first: flask db-migrate index drop {place} {name}",
            )


def _definition(spec: Mapping[str, Any]) -> Definition:
    options = {k: v for k, v in spec.items() if k not in ("key", "name")}
    return normalise(tuple(spec["key"].items()), options)


def _is_the_servers(
    index: FoundIndex, time_series: Mapping[str, Sequence[str]]
) -> bool:
    """Return whether an index was created without anyone asking for it.

    time_series: collection -> its metadata and time fields; MongoDB 6.3 and newer index
    them.
    """
    fields = [name for name, _ in index.key]
    if index.place in time_series and fields == [*time_series[index.place]]:
        return True
    if index.place.endswith((".files", ".chunks")):  # GridFS, made by the driver
        return fields in (["_id"], ["filename", "uploadDate"], ["files_id", "n"])
    return index.name == "_id_" or bool(index.options.get("clustered"))
