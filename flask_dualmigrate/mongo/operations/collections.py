"""Creating, dropping and renaming collections, and setting their validators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import OperationError
from ...ops import CreateCollection, DropCollection, RenameCollection, SetValidator
from ...revisions import Direction
from ..batches.step_under_way import Work
from ..journal.steps import StepRecord
from ..server.dependent_views import told_of_views, views_on
from ..server.failures import shown
from ..server.special import (
    kind_of,
    refuse_long_name,
    refuse_renaming,
    refuse_validator,
)
from ..server.views import collection_info, command, drop, ensure_collection, same_bson
from .handler import Handler, name_spare, remove_created
from .put_back_collection import bring_back, is_plain, is_same, take_back, uuid_of

_NOT_KEPT = frozenset({"writeConcern", "comment", "autoIndexId", "idIndex"})
"""Options of `create` that listCollections does not return."""

_SHAPING = ("capped", "timeseries", "viewOn")
"""Options that create a different kind of collection."""

_VALIDATION = {
    "validator": {},
    "validationLevel": "strict",
    "validationAction": "error",
}
"""Options of collMod, with the server's defaults."""


class CreateCollectionHandler(Handler[CreateCollection]):
    """In a downgrade, the collection that the upgrade dropped is renamed back.

    Where the app has made one of that name since, its documents come into that one.
    """

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
        """Drop it, and not what the app has made of its name after a kill."""
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


class RenameCollectionHandler(Handler[RenameCollection]):
    """Old missing and new there: renamed, whoever asked.

    On the way back, in an undo or a downgrade, an app may have made one of the old name
    since: then the documents come into that one. So they do on the way there again.
    """

    def before(self, operation: RenameCollection, work: Work) -> Mapping[str, Any]:
        old, new = operation.collection, operation.new_name
        info = collection_info(work.db, old)
        if info is None:
            return {"renamed": False}
        refuse_renaming(old, info)
        refuse_long_name(work.db, new)
        there = collection_info(work.db, new)
        if there is not None and not may_take(work, there):
            raise OperationError(
                f"{old} cannot be renamed to {new}: the collection {new} already "
                "exists",
                hint=f"Drop or rename {new} first, in the script or by hand.",
            )
        return {"renamed": True, "uuid": uuid_of(info)}

    def apply(self, operation: RenameCollection, work: Work) -> None:
        old, new = operation.collection, operation.new_name
        if not work.before["renamed"]:
            work.note(f"{old} did not exist")
            return
        former = collection_info(work.db, old)
        if is_same(former, work.before.get("uuid")):
            bring_back(work, old, new, remember=True)
        elif (pending := _given(work, old)) is not None:
            bring_back(work, pending, new, remember=True)
        elif collection_info(work.db, new) is None:
            bring_back(work, old, new, remember=True)
        if collection_info(work.db, old) is not None:
            work.note(f"{old} was written to again after it was renamed to {new}")
        note_views(work, old, gone=f"renamed to {new}")

    def undo(self, operation: RenameCollection, work: Work) -> None:
        old, new = operation.collection, operation.new_name
        if not work.before["renamed"]:
            return
        there, back = _given(work, old), _given(work, new)
        if there is not None:  # its documents came into another one
            take_back(work, new, there)
            bring_back(work, there, old)
        elif back is not None:
            bring_back(work, back, old)
        elif not is_same(collection_info(work.db, old), work.before.get("uuid")):
            bring_back(work, new, old)

    def tidy(self, operation: RenameCollection, work: Work) -> None:
        for aside in work.bench.asides.of_step(work.record):
            work.bench.asides.close(aside)


def may_take(work: Work, there: Mapping[str, Any]) -> bool:
    """True if a collection of that name is in no renaming's way.

    A downgrade, or an upgrade that was undone, meets what the app has made since; a
    first upgrade, what its author has not thought of.
    """
    if work.is_downgrade:
        return True
    if not is_plain(there) or not work.record.again:
        return False
    return any(
        former.step == work.record.step
        and former.group == work.record.group
        and former.before.get("renamed", False)
        for former in work.bench.store.load(work.record.revision, Direction.UPGRADE)
    )


def _given(work: Work, name: str) -> str | None:
    """Return the aside that gives the documents of a renamed collection to another."""
    for aside in work.bench.asides.of_step(work.record, gives=name):
        if collection_info(work.db, aside) is not None:
            return aside
    return None


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
            work.note(f"{operation.collection} did not exist")
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
                    f"{operation.collection} now has a different validator, "
                    f"which remains; the former one: {shown(previous['validator'])}"
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
                f"{name} already exists, with {option} = "
                f"{shown(found)} instead of {shown(wanted)}",
                hint="Drop or rename it first, or remove the option from the script.",
            )


def _holds(wanted: Any, found: Any) -> bool:
    """True if what was found has all that is wanted; the server adds defaults."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(_holds(wanted[key], found.get(key)) for key in wanted)
    if wanted in (None, False):
        return not found
    return bool(wanted == found)
