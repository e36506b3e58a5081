"""The asides: collections that keep what the operations remove.

An aside is a collection whose name begins with `_aside_`. `_aside_catalog` has one
entry for each: what it holds, its revision, direction, step and collection, when it was
made, and whether a downgrade may still put it back (`open`). An aside that was purged
before then keeps its entry but has no collection. What an aside holds:

    values       {_id, value, at}: a field's value, and its position in its parent
    conversions  {_id, value, became}: a field's value before and after a conversion
    documents    the documents themselves
    collection   a whole collection, renamed: the same UUID, its indexes with it
    view         nothing: it is a view of the same definition

The first three are keyed by the `_id` of the document they were taken from. In values
and conversions, `put_back` marks what a downgrade has already put back.

A whole collection's entry may also say that it is `merged` into an existing one, to
which its documents move; that it `gives` the documents of one that was renamed, and is
not for a downgrade; or that it `made_way`: it was empty (see merging.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from ...revisions import Direction
from ...runtime.crashpoints import around
from ..journal.step_record import StepRecord
from ..server.dependent_views import move
from ..server.views import (
    ExactDatabase,
    collection_info,
    drop,
    ensure_collection,
    native,
)

CATALOG = "_aside_catalog"

_LONGEST_NAMESPACE = 235
"""Limit of `database.collection` in bytes; the lower one, of sharded collections.

Source: MongoDB manual, Limits and Thresholds.
"""


class Holds(StrEnum):
    """What an aside holds; see the module's docstring."""

    VALUES = "values"
    CONVERSIONS = "conversions"
    DOCUMENTS = "documents"
    COLLECTION = "collection"
    VIEW = "view"

    @property
    def is_whole(self) -> bool:
        """True for a whole collection or a view, which had the aside's place before."""
        return self in (Holds.COLLECTION, Holds.VIEW)


class Asides:
    """The asides of one database, and their catalog.

    was_run: whether a revision was run before, so that it may have asides.
    """

    def __init__(
        self, db: ExactDatabase, *, was_run: Callable[[str], bool] = lambda _: True
    ) -> None:
        self._db = db
        self._catalog = native(db, CATALOG)
        self._was_run = was_run
        self._entered: set[str] = set()

    def _may_have(self, revision: str) -> bool:
        return revision in self._entered or self._was_run(revision)

    def free_name(self, revision: str, label: str) -> str:
        """Return a name for a new aside: `_aside_<revision>_<label>`.

        label: the collection, with the field if it holds one. If the name is taken, for
        example by an earlier round of the same revision, a number is added.
        """
        taken = set(self._db.list_collection_names(filter={"name": _prefixed("")}))
        taken |= {entry["_id"] for entry in self._catalog.find({}, {"_id": True})}
        base, name, number = _base(revision, label), "", 1
        while not name or name in taken:
            suffix = f"_{number}" if number > 1 else ""
            name, number = self._fitting(base, suffix), number + 1
        return name

    def first_name(self, revision: str, label: str) -> str:
        """Return the name that `free_name` tries first, without asking the database."""
        return self._fitting(_base(revision, label), "")

    def _fitting(self, base: str, suffix: str) -> str:
        """Cut a name to the length MongoDB allows; a hash keeps cut names distinct."""
        room = _LONGEST_NAMESPACE - len(f"{self._db.name}.{suffix}".encode())
        if len(base.encode()) <= room:
            return base + suffix
        digest = hashlib.sha256(base.encode()).hexdigest()[:12]
        return f"{base.encode()[: room - 13].decode(errors='ignore')}_{digest}{suffix}"

    @around("mongo.asides.enter")
    def enter(
        self,
        name: str,
        record: StepRecord,
        holds: Holds,
        *,
        of: str,
        field: str = "",
        **more: Any,
    ) -> None:
        """Write an aside's catalog entry, and create the aside unless it is renamed.

        of: the collection it is taken from; field: the path, for values of a field.
        more: what else a downgrade needs to know.
        """
        self._entered.add(record.revision)
        self._catalog.update_one(
            {"_id": name},
            {
                "$set": {
                    **record.id,
                    "verb": record.verb,
                    "holds": str(holds),
                    "collection": of,
                    "field": field,
                    "open": True,
                    **more,
                },
                "$currentDate": {"created_at": True},
            },
            upsert=True,
        )
        if not holds.is_whole:
            ensure_collection(self._db, name)

    def kept_by_upgrade(
        self, record: StepRecord, verb: str, *, of: str, field: str = ""
    ) -> list[str]:
        """Return what the upgrade kept that this downgrade reverses, newest step first.

        verb: of the operation that kept it. Nothing is returned for an upgrade: what a
        downgrade kept is for people, not for the next run.
        """
        if record.direction is Direction.UPGRADE:
            return []
        found = self._catalog.find(
            {
                "revision": record.revision,
                "direction": str(Direction.UPGRADE),
                "collection": of,
                "field": field,
                "verb": verb,
                "open": True,
            }
        )
        names = [entry["_id"] for entry in found.sort("step", -1)]
        # What was purged is reported before a downgrade begins: see kept.py.
        return [name for name in names if collection_info(self._db, name) is not None]

    def known(self, name: str) -> dict[str, Any]:
        """Return the catalog's entry of an aside."""
        return dict(self._catalog.find_one({"_id": name}) or {})

    def mark(self, name: str, **marks: Any) -> None:
        """Change the entry of an aside, if it has one."""
        self._catalog.update_one({"_id": name}, {"$set": marks})

    def of_step(self, record: StepRecord, **marks: Any) -> list[str]:
        """Return the asides that a step made and whose entries have these marks.

        Those that no longer exist keep an entry until it is forgotten.
        """
        found = self._catalog.find({**record.id, "verb": record.verb, **marks})
        return [entry["_id"] for entry in found.sort("_id", 1)]

    def set_aside(
        self, record: StepRecord, collection: str, name: str, **marks: Any
    ) -> None:
        """Move a collection or a view aside; can be repeated after a crash.

        marks: what else its entry says about it.
        """
        info = collection_info(self._db, collection)
        is_view = info is not None and info["type"] == "view"
        if info is None or (not is_view and collection_info(self._db, name)):
            return
        holds = Holds.VIEW if is_view else Holds.COLLECTION
        self.enter(name, record, holds, of=collection, **marks)
        move(self._db, collection, name)

    def retire(self, record: StepRecord, collection: str, name: str) -> bool:
        """Drop an empty collection; return True if it was filled, and so kept aside.

        It is renamed first, so that a document inserted at the same time is not lost.
        """
        if collection_info(self._db, collection) is None:
            return self._drop_if_empty(name)
        self.set_aside(record, collection, name)
        return self._drop_if_empty(name)

    def _drop_if_empty(self, name: str) -> bool:
        if self._db[name].find_one() is not None:
            self._catalog.update_one({"_id": name}, {"$set": {"open": False}})
            return True
        drop(self._db, name)
        self.forget(name)
        return False

    def forget(self, name: str) -> None:
        """Remove the entry of an aside that no longer exists."""
        self._catalog.delete_one({"_id": name})

    @around("mongo.asides.close")
    def close(self, name: str) -> None:
        """Keep what is left of an aside for people; drop it if nothing is left."""
        info, entry = collection_info(self._db, name), self.known(name)
        whole = Holds(entry.get("holds", Holds.VALUES)).is_whole
        if info is not None and (
            (whole and not entry.get("merged")) or self._db[name].find_one() is not None
        ):
            done = {"$set": {"open": False}, "$unset": {"gives": "", "made_way": ""}}
            self._catalog.update_one({"_id": name}, done)
            return
        drop(self._db, name)
        self.forget(name)

    @around("mongo.asides.supersede")
    def supersede(self, revision: str) -> None:
        """Leave to people what earlier upgrades kept for a revision's downgrade."""
        if not self._may_have(revision):
            return
        self._catalog.update_many(
            {
                "revision": revision,
                "direction": str(Direction.UPGRADE),
                "open": True,
            },
            {"$set": {"open": False}},
        )

    @around("mongo.asides.settle")
    def settle(self, revision: str, direction: Direction) -> None:
        """Tidy up when a revision is complete on both sides.

        After an upgrade the asides wait for the downgrade; empty ones are dropped.
        After a downgrade, what was put back is removed from them, and the rest is left
        to people.
        """
        if not self._may_have(revision):
            return
        for entry in list(self._catalog.find({"revision": revision, "open": True})):
            name, holds = entry["_id"], Holds(entry["holds"])
            if direction is Direction.DOWNGRADE:
                if holds in (Holds.VALUES, Holds.CONVERSIONS):
                    self._remove_put_back(name)
                self.close(name)
            elif entry.get("gives") is not None or (
                not holds.is_whole and self._db[name].find_one() is None
            ):
                self.close(name)

    def _remove_put_back(self, name: str) -> None:
        aside = self._db[name]
        if aside.find_one({"put_back": {"$exists": False}}) is None:
            drop(self._db, name)
        else:
            aside.delete_many({"put_back": {"$exists": True}})


def _base(revision: str, label: str) -> str:
    return f"_aside_{revision}_{label}".replace("$", "_")


def _prefixed(prefix: str) -> dict[str, str]:
    return {"$regex": f"^_aside_{prefix}"}
