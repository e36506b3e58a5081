"""Operations on whole collections, insert and run."""

from __future__ import annotations

from typing import Any

from bson import ObjectId

from ...backend import Failing
from ...errors import OperationError
from ...ops import (
    CreateCollection,
    DropCollection,
    Insert,
    RenameCollection,
    Run,
    SetValidator,
)
from ..expressions.ranges import ids_in
from ..forecast.counting import Count, samples
from ..forecast.look import Look, Told, tell_trial
from ..forecast.sample import SIZE, try_insert
from ..server.best_effort import estimated_count
from ..server.dependent_views import told_of_views, views_on
from ..server.special import Info, refuse_renaming
from ..server.transactions import supports_transactions
from ..server.views import collection_info
from .collections import may_take


def tell_create_collection(look: Look[CreateCollection]) -> Told:
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
            told.notes.append(_comes_into(source, look.said.collection))
    elif look.is_there:
        told.notes.append(f"{look.said.collection} already exists")
    return told


def tell_drop_collection(look: Look[DropCollection]) -> Told:
    told = Told(matches=Count(0))
    info = collection_info(look.db, look.collection) if look.is_there else None
    if info is not None:
        if info["type"] != "view":
            number = estimated_count(look.db[look.collection])
            told.matches, told.writes = Count(number), 0
        _tell_views(look, told, gone="dropped")
    elif not look.names.moved(look.said.collection):
        told.notes.append(f"{look.said.collection} does not exist: nothing to do")
    return told


def tell_rename_collection(look: Look[RenameCollection]) -> Told:
    told = Told(matches=Count(0))
    old, new = look.said.collection, look.said.new_name
    target = look.names.now(new)
    taken = None if target is None else collection_info(look.db, target)
    if look.problem is None and taken is not None and look.may_be_there:
        if may_take(look.work, taken):
            told.notes.append(_comes_into(old, new))
        else:
            told.problems.append(
                f"{old} cannot be renamed to {new}: the collection {new} already exists"
            )
    info = collection_info(look.db, look.collection) if look.is_there else None
    if info is not None:
        told.problems += _refused_renaming(look, info)
        if info["type"] != "view":
            number = estimated_count(look.db[look.collection])
            told.matches, told.writes = Count(number), 0
        if look.problem is None:
            _tell_views(look, told, gone=f"renamed to {new}")
    elif not look.names.moved(old):
        told.notes.append(f"{old} does not exist: nothing to do")
    return told


def _comes_into(source: str, name: str) -> str:
    return (
        f"{name} was recreated since: its documents remain, and those "
        f"of {source} are added to it"
    )


def _tell_views(look: Look[Any], told: Told, *, gone: str) -> None:
    """Name the views that read a collection, and that no operation before it drops."""
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


def _refused_renaming(look: Look[RenameCollection], info: Info) -> list[str]:
    """Ask what its handler asks, where that could not look as the target is moved."""
    if look.problem is not None:
        return []
    try:
        refuse_renaming(look.said.collection, info)
    except OperationError as error:
        return [f"{error.what}. {error.hint}"]
    return []


def tell_set_validator(look: Look[SetValidator]) -> Told:
    """Documents that a validator would refuse stay, and are told of."""
    told = Told()
    validator = look.operation.validator
    if validator is None or not look.is_there:
        return told
    query = {"$nor": [look.work.native(validator)]}
    refused = look.count(query)
    if not refused.exact:
        told.notes.append(refused.note or "")
    if not (refused.exact and refused.number):
        return told
    number, shown = refused.number, samples(look.db, look.collection, query)
    told.failing.append(Failing("validator", number, shown, fatal=False))
    one = number == 1
    noun = "document does" if one else "documents do"
    stay = "it remains as it is" if one else "they remain as they are"
    more = ", …" if number > len(shown) else ""
    later = {"strict": "refused", "moderate": "let through", "off": "let through"}
    how = "warned of" if look.operation.action == "warn" else later[look.said.level]
    told.notes.append(
        f"{number} {noun} not match it: {', '.join(shown)}{more}; {stay}, and a later "
        f"update of {'it' if one else 'them'} is {how}"
    )
    return told


def tell_insert(look: Look[Insert]) -> Told:
    told = Told()
    done = look.record.documents if look.record is not None else 0
    documents: list[Any] = [
        {"_id": ObjectId(), **look.work.native(document)}
        for document in look.operation.documents[done:]
    ]
    kept = _tell_kept(look, told)
    told.writes = len(documents) if documents or not kept else None
    if not documents or not look.is_there:
        return told
    ids = [document["_id"] for document in documents]
    taken = look.count(ids_in(ids))
    if taken.number:
        shown = samples(look.db, look.collection, ids_in(ids))
        noun = "document has" if taken.number == 1 else "documents have"
        told.failing.append(Failing("insert", taken.number, shown))
        told.problems.append(
            f"{taken.number} {noun} an _id that already exists in "
            f"{look.said.collection}: {', '.join(shown)}"
        )
    elif supports_transactions(look.db):
        trial = try_insert(
            look.work, look.collection, documents[:SIZE], coming=look.coming
        )
        tell_trial(look, trial, told)
    return told


def _tell_kept(look: Look[Insert], told: Told) -> int:
    """Count what a downgrade puts back of what its upgrade deleted."""
    kept = sum(
        estimated_count(look.db[aside]) for aside in look.before.get("sources", ())
    )
    if kept:
        noun = "document" if kept == 1 else "documents"
        told.notes.append(f"restores up to {kept} {noun} that the upgrade kept")
    return kept


def tell_run(look: Look[Run]) -> Told:
    return Told(
        notes=[
            "what a function of the script does cannot be predicted; its "
            "effects outside this database are in no backup"
        ]
    )
