"""How an operation is applied and undone: the shape of its handler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from ...ops import Operation
from ..batches.step_under_way import Work
from ..journal.steps import StepRecord
from ..server.special import refuse_long_name, refuse_writes
from ..server.views import collection_info

Op = TypeVar("Op", bound=Operation)


class Handler(ABC, Generic[Op]):
    """Applies and undoes one kind of operation. It has no state of its own.

    leaves_out: whether it leaves out the documents that an undoing left (Staying). One
    that goes by what stands in a document meets them as they are.
    """

    leaves_out = False

    def before(self, operation: Op, work: Work) -> Mapping[str, Any]:
        """Return what is there before the operation; it goes into the step's record.

        Reads only. Raises OperationError where the operation cannot do its work: then
        nothing was written.
        """
        return {}

    @abstractmethod
    def apply(self, operation: Op, work: Work) -> None:
        """Do the work, or carry on with it; by `work.before`, which stays the first."""

    def why_not(self, operation: Op, record: StepRecord) -> str | None:
        """Return why it cannot be undone, None if it can."""
        return None

    @abstractmethod
    def undo(self, operation: Op, work: Work) -> None:
        """Undo what `apply` did, all or part of it; or carry on with undoing."""

    def tidy(self, operation: Op, work: Work) -> None:
        """Remove what undoing needed."""
        aside = work.before.get("aside")
        if aside is not None:
            work.bench.asides.close(aside)


def refuse_unwritable(work: Work, collection: str) -> None:
    """Raise OperationError for what is no ordinary collection.

    A missing one passes: there is nothing to do in it.
    """
    info = collection_info(work.db, collection)
    if info is not None:
        refuse_writes(collection, info)


def name_spare(work: Work, collection: str) -> str:
    """Choose a name for a collection that an operation creates, should it be undone.

    It goes into the record as `spare`; no `spare` says that the collection was there.
    Raises OperationError if the collection's own name is too long.
    """
    refuse_long_name(work.db, collection)
    return work.bench.asides.free_name(work.record.revision, collection)


def remove_created(work: Work, collection: str) -> bool:
    """Undo the creation of a collection; documents that came in meanwhile are kept.

    Returns whether the operation had created it.
    """
    spare = work.before.get("spare")
    if spare is None:
        return False
    filled = work.bench.asides.retire(work.record, collection, spare)
    work.bench.staying.gone(work.record, collection)
    if filled:
        count = work.db[spare].estimated_document_count()
        noun = "document is" if count == 1 else "documents are"
        work.note(
            f"{collection} was written to since: its {count} {noun} kept in {spare}"
        )
    return True
