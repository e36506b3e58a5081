"""What the tool knows of an operation: the shape of its handler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pymongo.database import Database

from ...backend import Loss
from ...indexes import DeclaredIndex
from ...ops import Operation
from ..batches.step_under_way import Work
from ..forecast.look import Look, Told
from ..forecast.names import Names
from ..journal.steps import StepRecord
from ..mongosh.statements import Kept, Part
from ..server.special import refuse_long_name, refuse_writes
from ..server.views import collection_info

Op = TypeVar("Op", bound=Operation)

Declared = dict[tuple[str, str], DeclaredIndex]
"""The indexes that scripts have made, by collection and name."""

DOCUMENT_ACTIONS = ("find", "insert", "update", "remove")
"""The rights that changing documents takes, and keeping what they were."""


class Handler(ABC, Generic[Op]):
    """All that the tool knows of one kind of operation. It has no state of its own.

    What is abstract, each operation has to say; the rest has a default that holds for
    most of them.

    leaves_out: whether it leaves out the documents that an undoing left (Staying). One
    that goes by what stands in a document meets them as they are.
    creates: it creates its collection where that is missing. fills: it brings documents
    into it. eases: it drops an index or changes a validator, so that what is refused
    now may pass. removes: it takes documents out of the database.
    puts_back: the operation of an upgrade whose aside it puts back in a downgrade.
    """

    leaves_out: ClassVar[bool] = False
    creates: ClassVar[bool] = False
    fills: ClassVar[bool] = False
    eases: ClassVar[bool] = False
    removes: ClassVar[bool] = False
    puts_back: ClassVar[type[Operation] | None] = None

    # A run.

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

    # A dry run.

    @abstractmethod
    def forecast(self, look: Look[Op]) -> Told:
        """Find out what it would do. Writes nothing that lasts."""

    @abstractmethod
    def reads(self, operation: Op) -> frozenset[str]:
        """Return the fields, by their first names, that decide what it does."""

    @abstractmethod
    def writes(self, operation: Op) -> frozenset[str]:
        """Return the fields, by their first names, that it changes."""

    def moves_to(self, operation: Op) -> str | None:
        """Return what its collection is called after it; None: as before."""
        return None

    def reaches(self, operation: Op) -> str | None:
        """Return why it may touch more than it names; None if it does not."""
        return None

    def replay(self, operation: Op, names: Names, *, source: str | None) -> None:
        """Take it for done, as to what the names of collections and indexes stand for.

        source: the aside that a downgrade renames back to the collection.
        """

    # Before a run.

    def refuse(self, operation: Op, app_db: Database[Any]) -> None:
        """Raise OperationError for what cannot be run here, whatever is stored."""

    @abstractmethod
    def actions(self, operation: Op) -> tuple[str, ...]:
        """Return the rights that it takes on its collection.

        Source: MongoDB manual, the required access of each command.
        """

    @abstractmethod
    def why_not_standalone(self, operation: Op) -> str | None:
        """Return why it needs transactions, None if it does without.

        Without them, a batch and its checkpoint are two writes. A crash between them
        lets the next run do that batch again, so an operation must either give the
        same result twice, or not meet a document again that it has written.
        """

    def to_try(self, operation: Op) -> Mapping[str, Any] | None:
        """Return the specification of an index that a server may be unable to build."""
        return None

    def loss(self, operation: Op, db: Database[Any]) -> Loss:
        """Count what it takes away for good: what is there now.

        db: the app's own, whose codec knows the values of a script.
        """
        return Loss(operation.describe())

    # A script for mongosh.

    @abstractmethod
    def statements(self, operation: Op, part: Part) -> list[str]:
        """Return it as plain statements of mongosh, as a person would type them.

        Filters and updates are those of a run. Where a field is at the top of its
        document, they are written with `$exists` and `$set`, which are easier to read.
        Raises OperationError for one that has no plain form: why.
        """

    def kept(self, operation: Op) -> Kept | None:
        """Return what it keeps aside, None if it keeps nothing."""
        return None

    # The indexes that scripts declare.

    def declare(self, operation: Op, declared: Declared, source: str) -> None:
        """Take it for done, as to the indexes that scripts declare. source: of it."""


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
