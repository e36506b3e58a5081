"""Renaming a collection."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ...errors import OperationError
from ...ops import RenameCollection
from ...revisions import Direction
from ..batches.step_under_way import Work
from ..forecast.counting import Count
from ..forecast.look import Look, Told
from ..mongosh.literals import call, on
from ..mongosh.statements import Part, is_there, only_if
from ..server.best_effort import estimated_count
from ..server.special import Info, refuse_long_name, refuse_renaming
from ..server.views import collection_info
from .collections import comes_into, note_views, tell_views
from .handler import Declared, Handler
from .shared.put_back_collection import (
    bring_back,
    is_plain,
    is_same,
    take_back,
    uuid_of,
)


class RenameCollectionHandler(Handler[RenameCollection]):
    """Renames a collection; old missing and new there counts as renamed.

    On the way back, in an undo or a downgrade, the app may have created a collection of
    the old name since: the documents then move into that one. The same holds when the
    renaming is run again.
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
        if there is not None:  # its documents moved into another one
            take_back(work, new, there)
            bring_back(work, there, old)
        elif back is not None:
            bring_back(work, back, old)
        elif not is_same(collection_info(work.db, old), work.before.get("uuid")):
            bring_back(work, new, old)

    def tidy(self, operation: RenameCollection, work: Work) -> None:
        for aside in work.bench.asides.of_step(work.record):
            work.bench.asides.close(aside)

    def forecast(self, look: Look[RenameCollection]) -> Told:
        told = Told(matches=Count(0))
        old, new = look.said.collection, look.said.new_name
        target = look.names.now(new)
        taken = None if target is None else collection_info(look.db, target)
        if look.problem is None and taken is not None and look.may_be_there:
            if may_take(look.work, taken):
                told.notes.append(comes_into(old, new))
            else:
                told.problems.append(
                    f"{old} cannot be renamed to {new}: the collection {new} "
                    "already exists"
                )
        info = collection_info(look.db, look.collection) if look.is_there else None
        if info is not None:
            told.problems += _refused_renaming(look, info)
            if info["type"] != "view":
                number = estimated_count(look.db[look.collection])
                told.matches, told.writes = Count(number), 0
            if look.problem is None:
                tell_views(look, told, gone=f"renamed to {new}")
        elif not look.names.moved(old):
            told.notes.append(f"{old} does not exist: nothing to do")
        return told

    def reads(self, operation: RenameCollection) -> frozenset[str]:
        return frozenset()

    def writes(self, operation: RenameCollection) -> frozenset[str]:
        return frozenset()

    def moves_to(self, operation: RenameCollection) -> str | None:
        return operation.new_name

    def actions(self, operation: RenameCollection) -> tuple[str, ...]:
        return ("renameCollectionSameDB",)

    def why_not_standalone(self, operation: RenameCollection) -> str | None:
        return None

    def statements(self, operation: RenameCollection, part: Part) -> list[str]:
        name = operation.collection
        rename = call(on(name), "renameCollection", operation.new_name)
        return [only_if(is_there(name), rename)]

    def declare(
        self, operation: RenameCollection, declared: Declared, source: str
    ) -> None:
        for key in [key for key in declared if key[0] == operation.collection]:
            index = declared.pop(key)
            new = dataclasses.replace(index, place=operation.new_name)
            declared[new.place, new.name] = new


def may_take(work: Work, there: Mapping[str, Any]) -> bool:
    """True if a collection of that name does not prevent the renaming.

    A downgrade, or an upgrade that was undone, meets what the app has created since; a
    first upgrade meets what its author did not expect.
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
    """Return the aside that gives a renamed collection's documents to another one."""
    for aside in work.bench.asides.of_step(work.record, gives=name):
        if collection_info(work.db, aside) is not None:
            return aside
    return None


def _refused_renaming(look: Look[RenameCollection], info: Info) -> list[str]:
    """Return what the handler would refuse if it could look: the target is moved."""
    if look.problem is not None:
        return []
    try:
        refuse_renaming(look.said.collection, info)
    except OperationError as error:
        return [f"{error.what}. {error.hint}"]
    return []
