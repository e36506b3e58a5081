"""Operations that process the documents of a collection, batch by batch."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from ....backend import Failing
from ...expressions.paths import FieldPath
from ...expressions.ranges import Query, both, range_of
from ...forecast.counting import Count, count, how_found, samples
from ...forecast.look import Look, Told, tell_trial
from ...forecast.sample import NOT_TRIED, Write, try_batch
from ...server.transactions import supports_transactions
from ..handler import DOCUMENT_ACTIONS, Handler, Op
from .put_back_values import NOT_PUT_BACK


@dataclasses.dataclass(frozen=True)
class Pass:
    """Which documents an operation processes, and how it writes them.

    write: None: must not be tried, as it calls the script or refuses nothing. refused:
    the kind, the filter and the field of those that it refuses. unfit: the filter of
    those that it leaves out, and what is said about them.
    """

    query: Query
    write: Write | None
    refused: tuple[str, Query, str] | None = None
    unfit: tuple[Query, str] | None = None


class PassHandler(Handler[Op]):
    """The handler of an operation that processes the documents of a collection."""

    keeps_collections = True

    @abstractmethod
    def passes(self, look: Look[Op]) -> Pass:
        """Return which documents it processes. The collection exists."""

    def forecast(self, look: Look[Op]) -> Told:
        return _tell_pass(look, self)

    def tell_more(self, look: Look[Op], told: Told) -> None:
        """Report what is specific to this operation; its handler found no problem."""

    def actions(self, operation: Op) -> tuple[str, ...]:
        return DOCUMENT_ACTIONS


def _tell_pass(look: Look[Any], handler: PassHandler[Any]) -> Told:
    """Count what a pass matches; try a batch; report what it would refuse."""
    told = Told()
    if not look.is_there:
        told.matches = Count(0)
        if not look.names.makes(look.said.collection):
            told.notes.append(f"collection {look.said.collection} does not exist")
        return told
    found = handler.passes(look)
    query = left_of(look, found.query)
    told.matches = look.count(query)
    told.writes = told.matches.number
    if told.matches.number:
        told.plan = how_found(look.db, look.collection, query)
    if look.problem is None:
        _try(look, found, query, told)
    elif found.refused is not None:
        told.failing += _refused(look, *found.refused)
    if found.unfit is not None:
        _tell_unfit(look, *found.unfit, told)
    if look.problem is None:
        handler.tell_more(look, told)
    tell_kept(look, told)
    return told


def left_of(look: Look[Any], query: Query) -> Query:
    """Return the filter for what is left of an operation that was begun."""
    if look.record is None:
        return query
    place = look.record.checkpoint
    if "parts" in place:
        parts = look.work.bench.store.load_parts(look.record)
        left = [part.checkpoint for part in parts if "ended" not in part.checkpoint]
        return both({"$or": [range_of(each) for each in left or [place]]}, query)
    if place.get("phase", 0):
        return query
    return both(range_of(place), query)


def _try(look: Look[Any], found: Pass, query: Query, told: Told) -> None:
    assert told.matches is not None
    if found.write is None or not told.matches.number:
        return
    if not supports_transactions(look.db):
        told.notes.append(f"{NOT_TRIED}: this server has no transactions")
        return
    size = getattr(look.operation, "batch_size", None) or 1000
    trial = try_batch(
        look.work,
        look.collection,
        query,
        found.write,
        size=size,
        coming=look.coming,
    )
    if trial.is_duplicate and "ours" in look.before:
        told.notes.append(f"{trial.problem}: refused values are kept aside")
    else:
        tell_trial(look, trial, told)


def _refused(look: Look[Any], kind: str, query: Query, field: str) -> list[Failing]:
    number = look.count(query)
    if number.exact and not number.number:
        return []
    shown = samples(look.db, look.collection, query, field)
    return [Failing(kind, number.number if number.exact else None, shown)]


def _tell_unfit(look: Look[Any], query: Query, text: str, told: Told) -> None:
    number = look.count(query)
    if number.exact and number.number:
        noun = "document has" if number.number == 1 else "documents have"
        told.notes.append(f"{number.number} {noun} {text}")


def tell_kept(look: Look[Any], told: Told) -> None:
    """Count what a downgrade puts back of what its upgrade kept."""
    asides: Sequence[str] = look.before.get("sources", ())
    kept = sum(count(look.db, aside, NOT_PUT_BACK).number for aside in asides)
    if kept:
        noun = "value" if kept == 1 else "values"
        told.notes.append(f"restores up to {kept} {noun} that the upgrade kept")


def updates(stages: Any) -> Write:
    def write(
        target: Collection[RawBSONDocument], query: Query, session: ClientSession
    ) -> object:
        return target.update_many(query, stages, session=session)

    return write


def unfit(path: FieldPath) -> tuple[Query, str] | None:
    if path.parent is None:
        return None
    text = f"a value that is not a document at {path.parent}: left without {path.text}"
    return {"$expr": path.unfit}, text
