"""Creating and dropping collections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from ...backend import Loss
from ...errors import OperationError
from ...ops import CreateCollection, DropCollection
from ..asides.aside import CATALOG, Holds
from ..batches.step_under_way import Work
from ..forecast.counting import Count
from ..forecast.look import Look, Told
from ..forecast.names import Names
from ..journal.step_record import StepRecord
from ..mongosh.literals import call, on
from ..mongosh.statements import (
    UPSERT,
    Kept,
    Part,
    db_command,
    infos_of,
    is_there,
    only_if,
)
from ..server.best_effort import estimated_count
from ..server.dependent_views import told_of_views, views_on
from ..server.failures import shown
from ..server.special import kind_of
from ..server.views import collection_info, command, drop, same_bson
from .handler import Declared, Handler, name_spare, remove_created
from .shared.put_back_collection import bring_back, is_same, take_back, uuid_of

_NOT_KEPT = frozenset({"writeConcern", "comment", "autoIndexId", "idIndex"})
"""Options of `create` that listCollections does not return."""


_SHAPING = ("capped", "timeseries", "viewOn")
"""Options that create a different kind of collection."""


class CreateCollectionHandler(Handler[CreateCollection]):
    """Creates a collection; in a downgrade, renames the dropped one back.

    If the app has since created one of that name, the dropped documents move into it.
    """

    creates = True
    puts_back = DropCollection

    def before(self, operation: CreateCollection, work: Work) -> Mapping[str, Any]:
        name = operation.collection
        sources = work.bench.asides.kept_by_upgrade(
            work.record, DropCollection.verb, of=name
        )
        if sources:
            return {"source": sources[0]}
        info = collection_info(work.db, name)
        if info is not None:
            asked = work.native(operation.options)
            _refuse_other_options(name, asked, info["options"])
            return {}
        return {"spare": name_spare(work, name)}

    def apply(self, operation: CreateCollection, work: Work) -> None:
        name, source = operation.collection, work.before.get("source")
        if source is not None:
            bring_back(work, source, name, remember=True)
        if collection_info(work.db, name) is None:
            options = work.native(operation.options)
            command(work.db, {"create": name, **options})

    def undo(self, operation: CreateCollection, work: Work) -> None:
        name, source = operation.collection, work.before.get("source")
        if source is not None:
            take_back(work, name, source)
            return
        info = collection_info(work.db, name)
        if info is not None and info["type"] != "collection":
            self._drop_unrenamable(work, name, info["type"])
        else:
            remove_created(work, name)

    def _drop_unrenamable(self, work: Work, name: str, kind: str) -> None:
        if "spare" not in work.before:
            return
        if kind != "view" and work.db[name].find_one():
            work.note(
                f"the {kind} collection {name} was filled since, and remains: "
                "MongoDB cannot rename it to keep it aside"
            )
        else:
            drop(work.db, name)

    def forecast(self, look: Look[CreateCollection]) -> Told:
        told = Told()
        source = look.before.get("source")
        if source is not None and collection_info(look.db, source) is None:
            told.notes.append(
                f"the collection that the upgrade kept as {source} is restored"
            )
        elif source is not None:
            told.notes.append(
                f"restores what the upgrade kept as {source}{_size(look, source)}"
            )
            if look.is_there:
                told.notes.append(comes_into(source, look.said.collection))
        elif look.is_there:
            told.notes.append(f"{look.said.collection} already exists")
        return told

    def reads(self, operation: CreateCollection) -> frozenset[str]:
        return frozenset()

    def writes(self, operation: CreateCollection) -> frozenset[str]:
        return frozenset()

    def replay(
        self, operation: CreateCollection, names: Names, *, source: str | None
    ) -> None:
        if source is not None:
            names.bring_back(operation.collection, source)

    def actions(self, operation: CreateCollection) -> tuple[str, ...]:
        capped = ("convertToCapped",) if operation.options.get("capped") else ()
        return ("createCollection", *capped)

    def why_not_standalone(self, operation: CreateCollection) -> str | None:
        return None

    def statements(self, operation: CreateCollection, part: Part) -> list[str]:
        name, options = operation.collection, part.work.native(operation.options)
        create = db_command({"create": name, **options})
        ordinary = {"name": name, "type": "collection", "options.capped": {"$ne": True}}
        # One with options must have exactly these: the server compares, and refuses.
        return [create if options else only_if(f"!{infos_of(ordinary)}", create)]


class DropCollectionHandler(Handler[DropCollection]):
    """Drops a collection by renaming it aside: the same UUID, with its indexes.

    For a view, the upgrade keeps one of the same definition aside.
    """

    removes = True

    def before(self, operation: DropCollection, work: Work) -> Mapping[str, Any]:
        name = operation.collection
        info = collection_info(work.db, name)
        if info is None:
            return {}
        if info["type"] == "view":
            kept = operation.keep and not work.is_downgrade
            return {"view": info["options"], **(_aside_for(work, name) if kept else {})}
        if not operation.keep:
            return {"gone": True, "uuid": uuid_of(info)}
        if info["type"] != "collection":
            raise OperationError(
                f"{name} is a {kind_of(info)}, which MongoDB cannot rename, "
                "so it cannot be kept aside",
                hint="keep=False drops it permanently.",
            )
        return _aside_for(work, name)

    def apply(self, operation: DropCollection, work: Work) -> None:
        name = operation.collection
        if not work.before:
            work.note(f"{name} did not exist")
        elif "aside" in work.before:
            work.bench.asides.set_aside(work.record, name, work.before["aside"])
        else:
            self._drop(work, name)
        if not work.before:
            return
        if collection_info(work.db, name) is not None:
            work.note(f"{name} was written to again after it was dropped, and remains")
        note_views(work, name, gone="dropped")

    @staticmethod
    def _drop(work: Work, name: str) -> None:
        """Drop it, but not what the app has created under its name after a kill."""
        info, uuid = collection_info(work.db, name), work.before.get("uuid")
        if info is None or uuid is None or is_same(info, uuid):
            drop(work.db, name)

    def why_not(self, operation: DropCollection, record: StepRecord) -> str | None:
        if "gone" not in record.before:
            return None
        return "drop_collection(…, keep=False) kept nothing to restore"

    def undo(self, operation: DropCollection, work: Work) -> None:
        name, aside = operation.collection, work.before.get("aside")
        if "view" in work.before:
            self._put_view_back(work, name, work.before["view"], aside)
        elif aside is not None:
            bring_back(work, aside, name)

    @staticmethod
    def _put_view_back(
        work: Work, name: str, view: Mapping[str, Any], aside: str | None
    ) -> None:
        there = collection_info(work.db, name)
        if there is None:
            command(work.db, {"create": name, **view})
        elif there["type"] != "view" or not same_bson(there["options"], view):
            kept = shown(view) if aside is None else aside
            work.note(
                f"{name} was recreated since, and remains: the former view is {kept}"
            )
            return
        if aside is not None:
            drop(work.db, aside)

    def forecast(self, look: Look[DropCollection]) -> Told:
        told = Told(matches=Count(0))
        info = collection_info(look.db, look.collection) if look.is_there else None
        if info is not None:
            if info["type"] != "view":
                number = estimated_count(look.db[look.collection])
                told.matches, told.writes = Count(number), 0
            tell_views(look, told, gone="dropped")
        elif not look.names.moved(look.said.collection):
            told.notes.append(f"{look.said.collection} does not exist: nothing to do")
        return told

    def reads(self, operation: DropCollection) -> frozenset[str]:
        return frozenset()

    def writes(self, operation: DropCollection) -> frozenset[str]:
        return frozenset()

    def replay(
        self, operation: DropCollection, names: Names, *, source: str | None
    ) -> None:
        names.drop(operation.collection)

    def actions(self, operation: DropCollection) -> tuple[str, ...]:
        return ("renameCollectionSameDB" if operation.keep else "dropCollection",)

    def why_not_standalone(self, operation: DropCollection) -> str | None:
        return None

    def loss(self, operation: DropCollection, db: Database[Any]) -> Loss:
        number = estimated_count(db[operation.collection])
        return Loss(operation.describe(), number, "documents", exact=False)

    def statements(self, operation: DropCollection, part: Part) -> list[str]:
        name = operation.collection
        if not operation.keep:
            return [call(on(name), "drop")]
        set_on = {"$set": part.entry(operation), "$currentDate": {"created_at": True}}
        return [
            only_if(
                is_there(name),
                call(on(name), "renameCollection", part.aside),
                call(on(CATALOG), "updateOne", {"_id": part.aside}, set_on, UPSERT),
            )
        ]

    def kept(self, operation: DropCollection) -> Kept | None:
        return Kept("", Holds.COLLECTION) if operation.keep else None

    def declare(
        self, operation: DropCollection, declared: Declared, source: str
    ) -> None:
        for gone in [key for key in declared if key[0] == operation.collection]:
            del declared[gone]


def note_views(work: Work, collection: str, *, gone: str) -> None:
    """Note which views read a collection that no longer exists."""
    views = views_on(work.db, collection)
    if views:
        work.note(told_of_views(views, collection, gone=gone))


def _aside_for(work: Work, collection: str) -> dict[str, Any]:
    return {"aside": work.bench.asides.free_name(work.record.revision, collection)}


def _refuse_other_options(
    name: str, asked: Mapping[str, Any], actual: Mapping[str, Any]
) -> None:
    """Raise OperationError if an existing collection differs from the one asked for."""
    for option in [*asked, *(key for key in _SHAPING if key not in asked)]:
        if option in _NOT_KEPT:
            continue
        wanted, found = asked.get(option), actual.get(option)
        if option == "size" and wanted is not None:
            wanted = -(-int(wanted) // 256) * 256  # the server rounds up
        if not _holds(wanted, found):
            raise OperationError(
                f"{name} already exists, with {option} = "
                f"{shown(found)} instead of {shown(wanted)}",
                hint="Drop or rename it first, or remove the option from the script.",
            )


def _holds(wanted: Any, found: Any) -> bool:
    """True if the options found include all those wanted; the server adds defaults."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(_holds(wanted[key], found.get(key)) for key in wanted)
    if wanted in (None, False):
        return not found
    return bool(wanted == found)


def comes_into(source: str, name: str) -> str:
    return (
        f"{name} was recreated since: its documents remain, and those "
        f"of {source} are added to it"
    )


def tell_views(look: Look[Any], told: Told, *, gone: str) -> None:
    """Name the views that read a collection and that no earlier operation drops."""
    views = [
        view
        for view in views_on(look.db, look.collection)
        if look.names.now(view) is not None
    ]
    if views:
        told.notes.append(told_of_views(views, look.said.collection, gone=gone))


def _size(look: Look[CreateCollection], source: str) -> str:
    info = collection_info(look.db, source)
    if info is None or info["type"] == "view":
        return ""
    number = estimated_count(look.db[source])
    return f", with {number} {'document' if number == 1 else 'documents'}"
