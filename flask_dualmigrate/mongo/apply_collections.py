"""Creating, dropping and renaming collections, and setting their validators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import OperationError
from ..ops import (
    CreateCollection,
    DropCollection,
    RenameCollection,
    SetValidator,
)
from .dependents import move, told_of_views, views_on
from .failures import shown
from .handler import Handler, name_spare, remove_created
from .special import kind_of, refuse_long_name, refuse_renaming, refuse_validator
from .steps import StepRecord
from .views import collection_info, command, drop, ensure_collection, rename, same_bson
from .work import Work

_NOT_KEPT = frozenset({"writeConcern", "comment", "autoIndexId", "idIndex"})
"""Options of `create` that listCollections does not give back."""

_SHAPING = ("capped", "timeseries", "viewOn")
"""Options that make another kind of collection of it."""

_VALIDATION = {
    "validator": {},
    "validationLevel": "strict",
    "validationAction": "error",
}
"""What collMod takes, with the server's defaults."""


class CreateCollectionHandler(Handler[CreateCollection]):
    """In a downgrade, the collection that the upgrade dropped is renamed back."""

    def before(self, operation: CreateCollection, work: Work) -> Mapping[str, Any]:
        name = operation.collection
        sources = work.bench.asides.kept_by_upgrade(
            work.record, DropCollection.verb, of=name
        )
        info = collection_info(work.db, name)
        if info is not None:
            asked = work.native(operation.options)
            _refuse_other_options(name, asked, info["options"])
            return {"unused": sources}
        if sources:
            return {"source": sources[0]}
        return {"spare": name_spare(work, name)}

    def apply(self, operation: CreateCollection, work: Work) -> None:
        name, source = operation.collection, work.before.get("source")
        for unused in work.before.get("unused", ()):
            work.note(f"{name} is there already: the former one stays in {unused}")
        left = None if source is None else collection_info(work.db, source)
        there = collection_info(work.db, name)
        if source is not None and left is not None:
            if there is None or left["type"] == there["type"] == "view":
                move(work.db, source, name)
            return
        if there is not None:
            return
        options = work.native(operation.options)
        command(work.db, {"create": name, **options})

    def undo(self, operation: CreateCollection, work: Work) -> None:
        name, source = operation.collection, work.before.get("source")
        info = collection_info(work.db, name)
        if source is not None:
            is_view = info is not None and info["type"] == "view"
            if is_view or (info and collection_info(work.db, source) is None):
                move(work.db, name, source)
            return
        if info is not None and info["type"] != "collection":
            self._drop_unrenamable(work, name, info["type"])
        remove_created(work, name)

    def _drop_unrenamable(self, work: Work, name: str, kind: str) -> None:
        if kind != "view" and "spare" in work.before and work.db[name].find_one():
            raise OperationError(
                f"The {kind} collection {name} was filled since, and MongoDB cannot "
                "rename it, to keep it aside",
                hint=f"Move what {name} holds, drop it, and run it again.",
            )
        if "spare" in work.before:
            drop(work.db, name)


class DropCollectionHandler(Handler[DropCollection]):
    """The collection is renamed aside: the same UUID, its indexes with it.

    Of a view, the upgrade keeps one of the same definition aside.
    """

    def before(self, operation: DropCollection, work: Work) -> Mapping[str, Any]:
        name = operation.collection
        info = collection_info(work.db, name)
        if info is None:
            return {}
        if info["type"] == "view":
            kept = operation.keep and not work.is_downgrade
            return {"view": info["options"], **(_aside_for(work, name) if kept else {})}
        if not operation.keep:
            return {"gone": True}
        if info["type"] != "collection":
            raise OperationError(
                f"{name} is a {kind_of(info)}, which MongoDB cannot rename, "
                "so it cannot be kept aside",
                hint="keep=False drops it for good.",
            )
        return _aside_for(work, name)

    def apply(self, operation: DropCollection, work: Work) -> None:
        name = operation.collection
        if not work.before:
            work.note(f"{name} was not there")
        elif "aside" in work.before:
            work.bench.asides.set_aside(work.record, name, work.before["aside"])
        else:
            drop(work.db, name)
        if work.before:
            note_views(work, name, gone="dropped")

    def why_not(self, operation: DropCollection, record: StepRecord) -> str | None:
        if "gone" not in record.before:
            return None
        return "drop_collection(…, keep=False) kept nothing to put back"

    def undo(self, operation: DropCollection, work: Work) -> None:
        name, aside = operation.collection, work.before.get("aside")
        there = collection_info(work.db, name) is not None
        if "view" in work.before:
            if not there:
                command(work.db, {"create": name, **work.before["view"]})
            if aside is not None:
                drop(work.db, aside)
            return
        if aside is None or collection_info(work.db, aside) is None:
            return
        if there:
            raise OperationError(
                f"{name} exists again: the dropped one is kept as {aside}",
                hint=f"Move what {name} holds now, drop it, and run it again.",
            )
        rename(work.db, aside, name)


class RenameCollectionHandler(Handler[RenameCollection]):
    """Old missing and new there: renamed, whoever asked."""

    def before(self, operation: RenameCollection, work: Work) -> Mapping[str, Any]:
        old, new = operation.collection, operation.new_name
        info = collection_info(work.db, old)
        if info is None:
            return {"renamed": False}
        refuse_renaming(old, info)
        refuse_long_name(work.db, new)
        if collection_info(work.db, new) is not None:
            raise OperationError(
                f"{old} cannot be renamed to {new}: there is a collection {new}",
                hint=f"Drop or rename {new} first, in the script or by hand.",
            )
        return {"renamed": True}

    def apply(self, operation: RenameCollection, work: Work) -> None:
        old, new = operation.collection, operation.new_name
        if not work.before["renamed"]:
            work.note(f"{old} was not there")
            return
        if collection_info(work.db, new) is None:
            rename(work.db, old, new)
        elif collection_info(work.db, old) is not None:
            work.note(f"{old} was written to again after it was renamed to {new}")
        note_views(work, old, gone=f"renamed to {new}")

    def undo(self, operation: RenameCollection, work: Work) -> None:
        old, new = operation.collection, operation.new_name
        if not work.before["renamed"] or collection_info(work.db, new) is None:
            return
        if collection_info(work.db, old) is not None:
            raise OperationError(
                f"{new} cannot be renamed back to {old}: there is a collection {old} "
                "again",
                hint=f"Move what {old} holds now, drop it, and run it again.",
            )
        rename(work.db, new, old)


class SetValidatorHandler(Handler[SetValidator]):
    """The previous validator, level and action are kept in the record."""

    def before(self, operation: SetValidator, work: Work) -> Mapping[str, Any]:
        work.native(operation.validator)
        info = collection_info(work.db, operation.collection)
        if info is None:
            return {"spare": name_spare(work, operation.collection)}
        refuse_validator(operation.collection, info)
        return {"previous": _validation_in(info)}

    def apply(self, operation: SetValidator, work: Work) -> None:
        if operation.validator is None and "spare" in work.before:
            work.note(f"{operation.collection} was not there")
            return
        ensure_collection(work.db, operation.collection)
        wanted = {
            "validator": work.native(operation.validator or {}),
            "validationLevel": operation.level,
            "validationAction": operation.action,
        }
        # What is set, if only to its default, the server does not take away again.
        if not same_bson(wanted, work.before.get("previous")):
            self._modify(work, operation.collection, wanted)
        info = collection_info(work.db, operation.collection)
        if info is not None:
            work.save(checkpoint={"set": _validation_in(info)})

    def undo(self, operation: SetValidator, work: Work) -> None:
        previous = work.before.get("previous")
        info = collection_info(work.db, operation.collection)
        if previous is None:
            remove_created(work, operation.collection)
        elif info is not None:
            now = _validation_in(info)
            if same_bson(work.record.checkpoint.get("set", now), now):
                self._modify(work, operation.collection, previous)
            elif not same_bson(previous, now):
                work.note(
                    f"{operation.collection} has another validator now, which stays; "
                    f"the former one: {shown(previous['validator'])}"
                )

    @staticmethod
    def _modify(work: Work, collection: str, options: Mapping[str, Any]) -> None:
        command(work.db, {"collMod": collection, **options})


def _validation_in(info: Mapping[str, Any]) -> dict[str, Any]:
    options = info["options"]
    return {name: options.get(name, default) for name, default in _VALIDATION.items()}


def note_views(work: Work, collection: str, *, gone: str) -> None:
    """Note which views read a collection that is no more."""
    views = views_on(work.db, collection)
    if views:
        work.note(told_of_views(views, collection, gone=gone))


def _aside_for(work: Work, collection: str) -> dict[str, Any]:
    return {"aside": work.bench.asides.free_name(work.record.revision, collection)}


def _refuse_other_options(
    name: str, asked: Mapping[str, Any], actual: Mapping[str, Any]
) -> None:
    """Raise OperationError if a collection that is there is another than asked for."""
    for option in [*asked, *(key for key in _SHAPING if key not in asked)]:
        if option in _NOT_KEPT:
            continue
        wanted, found = asked.get(option), actual.get(option)
        if option == "size" and wanted is not None:
            wanted = -(-int(wanted) // 256) * 256  # the server rounds up
        if not _holds(wanted, found):
            raise OperationError(
                f"{name} is there already, with {option} = {shown(found)} "
                f"where {shown(wanted)} is wanted",
                hint="Drop or rename it first, or take the option out of the script.",
            )


def _holds(wanted: Any, found: Any) -> bool:
    """True if what was found has all that is wanted; the server adds defaults."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(_holds(wanted[key], found.get(key)) for key in wanted)
    if wanted in (None, False):
        return not found
    return bool(wanted == found)
