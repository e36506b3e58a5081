"""Putting a collection back if the app has since created one of its name.

An empty one makes way: it is renamed first, so that a document inserted at the same
time is not lost. From one that has documents nothing is moved. The former documents are
moved into it, batch by batch, while the app keeps writing; those whose `_id` or unique
value is taken stay in their aside. If interrupted, it can be repeated with the same
result: everything is decided by what is there, and by the marks of the asides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from ....errors import OperationError
from ...batches.pace import Pace
from ...batches.raw_collection import Target
from ...batches.refused_by_index import transact_but_refused
from ...batches.step_under_way import Work
from ...batches.undo import documents, note_staying, undo_batches
from ...batches.walk import read_capped
from ...batches.written_values import digest_of, digests_of
from ...expressions.id_list import IdList
from ...expressions.ranges import after, ids_in
from ...expressions.raw_bson import id_key
from ...server.dependent_views import move
from ...server.failures import DUPLICATE_KEY, NAMESPACE_EXISTS, code_of
from ...server.special import kind_of
from ...server.views import collection_info, command, index_specs, rename, same_bson
from .index_builds import build
from .index_builds import drop as drop_index
from .put_back_documents import taken_ids

_TRIES = 5
"""How often an empty collection is moved away: an app may keep recreating it."""

_BATCH_SIZE = 1000

_LASTING = {
    "capped": "bound in size",
    "collation": "collation",
    "clusteredIndex": "clustered index",
}
"""Options that cannot be changed in a collection with documents, in words."""

_VALIDATION = ("validator", "validationLevel", "validationAction")


def bring_back(work: Work, source: str, name: str, *, remember: bool = False) -> None:
    """Give a collection its name or its documents back; repeatable after a crash.

    source: an aside, or a collection that is renamed. remember: record what moved into
    an existing collection, so that `take_back` can undo it.
    """
    tries = _TRIES
    while (former := collection_info(work.db, source)) is not None:
        there = collection_info(work.db, name)
        if former["type"] == "view":
            _bring_view_back(work, source, name, there, former)
            break
        if there is None:
            if _renamed(work, source, name):
                break
        elif tries and _is_empty(work, name, there):
            _make_way(work, name)
            tries -= 1
        else:
            _merge(work, _set_aside(work, source), name, there, remember=remember)
            break
    _clear_way(work, name)


def take_back(work: Work, name: str, source: str) -> None:
    """Undo `bring_back` from an aside, however far it got."""
    former, there = collection_info(work.db, source), collection_info(work.db, name)
    if former is None:
        if there is not None:
            move(work.db, name, source)
    elif former["type"] == "view":
        if there is not None and _same_view(former, there):
            move(work.db, name, source)
    elif work.bench.asides.known(source).get("merged"):
        _take_documents(work, name, source)
        _take_shape(work, name, source)
        work.bench.asides.mark(source, merged=False, lent=None)
    _clear_way(work, name)


def is_plain(info: Mapping[str, Any]) -> bool:
    """True for a collection that can be renamed, and have documents moved into it."""
    return bool(info["type"] == "collection")


def is_same(info: Mapping[str, Any] | None, uuid: Any) -> bool:
    """True if a collection has this UUID, under whatever name."""
    return info is not None and uuid is not None and uuid_of(info) == uuid


def uuid_of(info: Mapping[str, Any]) -> Any:
    """Return a collection's UUID, which renaming keeps; None if it has none."""
    return info.get("info", {}).get("uuid")


def _is_empty(work: Work, name: str, info: Mapping[str, Any]) -> bool:
    return is_plain(info) and work.db[name].find_one({}, {"_id": True}) is None


def _same_view(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one["type"] == other["type"] and same_bson(one["options"], other["options"])


def _bring_view_back(
    work: Work,
    source: str,
    name: str,
    there: Mapping[str, Any] | None,
    former: Mapping[str, Any],
) -> None:
    if there is None or _same_view(former, there):
        move(work.db, source, name)
    else:
        work.note(
            f"{name} was recreated since, and remains: the former view is {source}"
        )


def _renamed(work: Work, source: str, name: str) -> bool:
    """Rename a collection, unless the app has created one of that name meanwhile."""
    try:
        rename(work.db, source, name)
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
        return False
    return True


def _make_way(work: Work, name: str) -> None:
    asides = work.bench.asides
    spare = asides.free_name(work.record.revision, name)
    asides.set_aside(work.record, name, spare, open=False, made_way=True)


def _clear_way(work: Work, name: str) -> None:
    """Drop what made way; put back what was inserted at the last moment."""
    asides = work.bench.asides
    for spare in asides.of_step(work.record, made_way=True):
        info, there = collection_info(work.db, spare), collection_info(work.db, name)
        if info is not None and not _is_empty(work, spare, info):
            if there is None and _renamed(work, spare, name):
                asides.forget(spare)
                continue
            there = there or collection_info(work.db, name)
            if there is not None:
                _merge(work, spare, name, there, remember=False)
        asides.mark(spare, merged=True)
        asides.close(spare)


def _set_aside(work: Work, source: str) -> str:
    """Return the aside a collection comes from; if it is not one, rename it aside."""
    asides = work.bench.asides
    if asides.known(source):
        return source
    name = asides.free_name(work.record.revision, source)
    asides.set_aside(work.record, source, name, gives=source)
    return name


def _merge(
    work: Work, source: str, name: str, there: Mapping[str, Any], *, remember: bool
) -> None:
    former = collection_info(work.db, source)
    assert former is not None  # the caller has seen it
    other = _otherness(former, there)
    if other is not None:
        count = work.db[source].estimated_document_count()
        work.note(
            f"{name} was recreated since, {other}, and remains: the former "
            f"one, with {documents(count)}, remains in {source}"
        )
        return
    work.bench.asides.mark(source, merged=True)
    _lend_shape(work, source, name, former, there)
    _pour(work, source, name, remember=remember)
    left = work.db[source].count_documents({})
    told = (
        f"{name} was recreated since: its documents remain, and the former documents "
    )
    told += "are back in it"
    if left:
        told += (
            f", except for {left}: their _id or unique value is "
            f"taken, and they remain in {source}"
        )
    work.note(told)
    if not remember:
        work.bench.asides.close(source)


def _otherness(former: Mapping[str, Any], there: Mapping[str, Any]) -> str | None:
    """Return how a collection permanently differs from the former one.

    None if the former documents can be moved into it.
    """
    if not is_plain(there) or there["options"].get("capped"):
        return f"as a {kind_of(there)}"
    for option, words in _LASTING.items():
        had, has = (info["options"].get(option) for info in (former, there))
        if not same_bson(had, has):
            return f"without its {words}" if has is None else f"with another {words}"
    return None


def _lend_shape(
    work: Work,
    source: str,
    name: str,
    former: Mapping[str, Any],
    there: Mapping[str, Any],
) -> None:
    """Give a collection the indexes and the validator of the former one.

    What it has itself stays. What cannot be built is noted: the documents matter more.
    """
    lent = list(work.bench.asides.known(source).get("lent") or ())
    have = index_specs(work.db, name)
    for index, spec in index_specs(work.db, source).items():
        if index in have:
            continue
        work.bench.asides.mark(source, lent=[*lent, index])
        try:
            build(work, name, {key: spec[key] for key in spec if key != "ns"})
        except (OperationError, OperationFailure) as error:
            work.note(f"the former index {index} of {name} is not rebuilt: {error}")
        else:
            lent.append(index)
    options = former["options"]
    validation = {key: options[key] for key in _VALIDATION if key in options}
    if validation.get("validator") and not there["options"].get("validator"):
        command(work.db, {"collMod": name, **validation})


def _take_shape(work: Work, name: str, source: str) -> None:
    """Drop the lent indexes and validator, if they are still as lent."""
    lent = work.bench.asides.known(source).get("lent") or ()
    former, there = index_specs(work.db, source), index_specs(work.db, name)
    for index in lent:
        if index in there and same_bson(there[index], former.get(index)):
            drop_index(work, name, index)
    infos = [collection_info(work.db, each) for each in (name, source)]
    if None in infos:
        return
    rules = [info["options"].get("validator") for info in infos if info]
    if rules[0] and same_bson(*rules):
        command(work.db, {"collMod": name, "validator": {}})


def _pour(work: Work, source: str, name: str, *, remember: bool) -> None:
    """Move documents in `_id` order, passing over those refused.

    There is no checkpoint: what was moved is no longer there.
    """
    last = tried = IdList.of(())
    pace = Pace(most=_BATCH_SIZE, seconds=0)

    def attempt(session: ClientSession) -> IdList:
        nonlocal tried
        found = work.db[source].find(
            after(last.last) if last else {},
            sort=[("_id", 1)],
            limit=pace.size,
            session=session,
        )
        batch = read_capped(found)
        tried = IdList.of(batch)
        pace.tried = len(tried)
        if batch:
            _move(work, source, name, batch, session, remember=remember)
            work.checkpoint(session, {}, documents=0)
        return tried

    while ids := transact_but_refused(work, pace, attempt, lambda: tried):
        last = ids


def _move(
    work: Work,
    source: str,
    name: str,
    batch: Sequence[RawBSONDocument],
    session: ClientSession,
    *,
    remember: bool,
) -> None:
    taken = taken_ids(work, name, batch, session)
    free = [document for document in batch if id_key(document) not in taken]
    if free and remember:
        details = [{"is": digest_of(document)} for document in free]
        work.bench.touched.add(work.record, IdList.of(free), session, details=details)
    moved = _inserted(work, name, free, session)
    # The same document is there: put back by the app, or by a run that was killed.
    rest = [document for document in batch if id_key(document) in taken]
    now = digests_of(work, name, IdList.of(rest), session) if rest else []
    moved += [
        document
        for document, digest in zip(rest, now, strict=True)
        if digest_of(document) == digest
    ]
    if moved:
        work.db[source].delete_many(ids_in(IdList.of(moved)), session=session)


def _inserted(
    work: Work, name: str, batch: Sequence[RawBSONDocument], session: ClientSession
) -> list[RawBSONDocument]:
    """Insert documents; return those inserted. Without transactions, one by one."""
    target = Target(work, name, session)
    if work.bench.transactions:
        if batch:
            target.insert(batch)
        return list(batch)
    done = []
    for document in batch:
        try:
            target.insert([document])
        except PyMongoError as error:
            if code_of(error) != DUPLICATE_KEY:
                raise
        else:
            done.append(document)
    return done


def _take_documents(work: Work, name: str, source: str) -> None:
    """Move the documents that were moved into a collection out again, if unchanged.

    Those that were changed since stay, and are counted.
    """

    def take(entry: Mapping[str, Any], session: ClientSession) -> IdList:
        ids: IdList = entry["ids"]
        now = digests_of(work, name, ids, session)
        wrote = [detail["is"] for detail in entry["details"]]
        there = list(zip(ids.keys, wrote, now, strict=True))
        same = ids.only({key for key, before, at in there if before == at})
        found = list(work.db[name].find(ids_in(same), session=session))
        if found:
            kept = taken_ids(work, source, found, session)
            new = [document for document in found if id_key(document) not in kept]
            if new:
                Target(work, source, session).insert(new)
            work.db[name].delete_many(ids_in(same), session=session)
        return ids.only(key for key, _, at in there if at).without(same.keys)

    undo_batches(work, take)
    note_staying(work, name)
