"""Undoing what an operation wrote, batch by batch, and reporting what stays.

One rule holds for all operations, including a downgrade that is undone: what an undo
would overwrite is compared with what the operation left there. What is the same is put
back; what has changed since stays as it is, and is counted and remembered (Staying).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pymongo.client_session import ClientSession

from ..expressions.id_list import NONE, IdList
from ..journal.left_alone import Why
from .pace import whole_batches
from .refused_by_index import note_refused, transact_but_refused
from .step_under_way import Work

Undo = Callable[[Mapping[str, Any], ClientSession], IdList]
"""Undoes an entry of Touched (`ids`, `details`, `wrote`) in its transaction.

Returns the `_id`s of those documents that it left alone, as they were changed since.
"""


def undo_batches(work: Work, undo: Undo) -> None:
    """Undo what was written, newest batch first; remember what stays (Staying).

    A document that was written twice is undone with its last batch. A batch that takes
    longer than a transaction may live is undone in smaller ones. A document whose
    former state a unique index refuses stays as well.
    """
    staying, pace = work.bench.staying, whole_batches()

    def attempt(session: ClientSession) -> bool:
        entry = work.bench.touched.last(work.record, session, at_most=pace.size)
        if entry is None:
            return False
        pace.tried = count = len(entry["ids"])
        entry = _not_settled(work, entry, session)
        stays = undo(entry, session) if entry["ids"] else NONE
        staying.add(work.record, stays, session, details=_digests_in(entry))
        if entry["again"]:
            undone = entry["ids"].without(stays.keys)
            staying.add(work.record, undone, session, why=Why.UNDONE)
        work.bench.touched.take_off(entry, session)
        work.checkpoint(session, {}, documents=len(stays) - count)
        return True

    def leave(session: ClientSession) -> None:
        entry = work.bench.touched.last(work.record, session, at_most=1)
        if entry is not None:
            ids, details = entry["ids"], _digests_in(entry)
            staying.add(work.record, ids, session, details=details)
            work.bench.touched.take_off(entry, session)
            work.checkpoint(session, {}, documents=0)

    def refuse() -> bool:
        work.transact(leave)
        note_refused(work)
        return True

    while transact_but_refused(work, pace, attempt, refuse):
        pass


def _not_settled(
    work: Work, entry: Mapping[str, Any], session: ClientSession
) -> Mapping[str, Any]:
    """Return an entry without the documents that a later one has settled."""
    whys = (Why.CHANGED, Why.UNDONE)
    if not work.bench.staying.any(work.record, session):
        return entry
    known = work.bench.staying.known(work.record, entry["ids"], session, whys=whys)
    return part_of(entry, lambda key: key not in known)


def part_of(
    entry: Mapping[str, Any], wanted: Callable[[bytes], bool]
) -> dict[str, Any]:
    """Return an entry with only those documents whose key is wanted."""
    keys, details = entry["ids"].keys, entry["details"]
    pairs = zip(keys, details, strict=True) if details else ()
    return {
        **entry,
        "ids": entry["ids"].only(filter(wanted, keys)),
        "details": [detail for key, detail in pairs if wanted(key)],
    }


def _digests_in(entry: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return the digests of what was written, by the key of `_id`, if there are any."""
    pairs = zip(entry["ids"].keys, entry["details"], strict=False)
    return {
        key: detail["is"]
        for key, detail in pairs
        if isinstance(detail, Mapping) and "is" in detail
    }


def note_staying(
    work: Work, collection: str, *, leaves_out: bool = False, aside: str | None = None
) -> None:
    """Note how many documents an undo left because they were changed since.

    leaves_out: whether the next run leaves them out. aside: where the documents are
    kept as they were before, including those deleted since.
    """
    staying = work.bench.staying
    kept = "" if aside is None else f"; the previous content is in {aside}"
    if count := staying.count(work.record):
        how = "were changed since, and remain so"
        if count == 1:
            how = "was changed since, and remains so"
        them = "it" if count == 1 else "them"
        out = f"; the next run skips {them}" if leaves_out else ""
        work.note(f"{documents(count)} of {collection} {how}{out}{kept}")
    if aside is not None and (count := staying.count(work.record, Why.DELETED)):
        verb = "was" if count == 1 else "were"
        work.note(f"{documents(count)} of {collection} {verb} deleted since{kept}")


def note_left_out(work: Work, collection: str) -> bool:
    """Note what a run leaves out that an earlier one left; return if there is any."""
    record, staying = work.record, work.bench.staying
    if not record.again:
        return False
    own = staying.count(record)
    others = sum(staying.count(record, group=group) for group in record.later)
    ways = [("an earlier run wrote", own), ("a later step inserted", others)]
    for who, count in ways:
        are, they, were = ("is", "it", "it was")
        if count > 1:
            are, they, were = ("are", "them", "they were")
        if count:
            work.note(
                f"{documents(count)} of {collection} {are} skipped: {who} "
                f"{they}, and its undo left {they}, because {were} changed since"
            )
    return bool(own or others)


def documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count} documents"
