"""The interface of a handler: everything the tool knows about an operation."""

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
from ..journal.step_record import StepRecord
from ..mongosh.statements import Kept, Part
from ..server.special import refuse_long_name, refuse_writes

Op = TypeVar("Op", bound=Operation)

Declared = dict[tuple[str, str], DeclaredIndex]
"""The indexes that scripts have made, by collection and name."""

DOCUMENT_ACTIONS = ("find", "insert", "update", "remove")
"""The rights that changing documents takes, and keeping what they were."""


class Handler(ABC, Generic[Op]):
    """Everything the tool knows about one kind of operation. It has no state.

    Each operation must define the abstract methods; the rest have a default that suits
    most operations.

    leaves_out: whether it leaves out the documents that an undo left (Staying). An
    operation that depends on a document's content processes them as they are. creates:
    it creates its collection if that is missing. fills: it adds documents to it. eases:
    it drops an index or changes a validator, so that what is refused now may pass.
    removes: it removes documents from the database. keeps_collections: it neither drops
    nor renames a collection, nor changes the options of one.
    puts_back: the operation of an upgrade whose aside it puts back in a downgrade.
    """

    leaves_out: ClassVar[bool] = False
    creates: ClassVar[bool] = False
    fills: ClassVar[bool] = False
    eases: ClassVar[bool] = False
    removes: ClassVar[bool] = False
    keeps_collections: ClassVar[bool] = False
    puts_back: ClassVar[type[Operation] | None] = None

    # A run.

    def before(self, operation: Op, work: Work) -> Mapping[str, Any]:
        """Return what is there before the operation, for the step's record.

        Only reads. Raises OperationError if the operation cannot do its work; nothing
        has been written then.
        """
        return {}

    @abstractmethod
    def apply(self, operation: Op, work: Work) -> None:
        """Do or continue the work, using `work.before`, which stays as first found."""

    def why_not(self, operation: Op, record: StepRecord) -> str | None:
        """Return why it cannot be undone; None if it can."""
        return None

    @abstractmethod
    def undo(self, operation: Op, work: Work) -> None:
        """Undo all or part of what `apply` did, or continue undoing it."""

    def tidy(self, operation: Op, work: Work) -> None:
        """Remove what undoing needed."""
        aside = work.before.get("aside")
        if aside is not None:
            work.bench.asides.close(aside)

    # A dry run.

    @abstractmethod
    def forecast(self, look: Look[Op]) -> Told:
        """Find out what it would do, writing nothing that lasts."""

    @abstractmethod
    def reads(self, operation: Op) -> frozenset[str]:
        """Return the top-level names of the fields that decide what it does."""

    @abstractmethod
    def writes(self, operation: Op) -> frozenset[str]:
        """Return the top-level names of the fields that it changes."""

    def moves_to(self, operation: Op) -> str | None:
        """Return what its collection is called afterwards; None: as before."""
        return None

    def reaches(self, operation: Op) -> str | None:
        """Return why it may touch more than it names; None if it cannot."""
        return None

    def replay(self, operation: Op, names: Names, *, source: str | None) -> None:
        """Replay its effect on the names of collections and indexes.

        source: the aside that a downgrade renames back to the collection.
        """

    # Before a run.

    def refuse(self, operation: Op, app_db: Database[Any]) -> None:
        """Raise OperationError if it cannot be run here, whatever data is stored."""

    @abstractmethod
    def actions(self, operation: Op) -> tuple[str, ...]:
        """Return the privileges that it needs on its collection.

        Source: MongoDB manual, the required access of each command.
        """

    @abstractmethod
    def why_not_standalone(self, operation: Op) -> str | None:
        """Return why it needs transactions; None if it does not.

        Without them, a batch and its checkpoint are two writes. After a crash between
        them the next run does that batch again, so an operation must either give the
        same result twice, or not match a document again that it has written.
        """

    def to_try(self, operation: Op) -> Mapping[str, Any] | None:
        """Return the specification of an index that a server may be unable to build."""
        return None

    def loss(self, operation: Op, db: Database[Any]) -> Loss:
        """Count what it would permanently remove of what is there now.

        db: the app's own, whose codec knows the values of a script.
        """
        return Loss(operation.describe())

    # A script for mongosh.

    @abstractmethod
    def statements(self, operation: Op, part: Part) -> list[str]:
        """Return it as plain mongosh statements, as a person would type them.

        Filters and updates are those of a run. For a top-level field they are written
        with `$exists` and `$set`, which are easier to read. Raises OperationError,
        saying why, if it has no plain form.
        """

    def kept(self, operation: Op) -> Kept | None:
        """Return what it keeps aside; None if nothing."""
        return None

    # The indexes that scripts declare.

    def declare(self, operation: Op, declared: Declared, source: str) -> None:
        """Replay its effect on the indexes that scripts declare. source: its script."""


def refuse_unwritable(work: Work, collection: str) -> None:
    """Raise OperationError for anything but an ordinary collection.

    A missing collection is accepted: there is nothing to do in it.
    """
    info = work.bench.known.info(collection)
    if info is not None:
        refuse_writes(collection, info)


def name_spare(work: Work, collection: str) -> str:
    """Choose a name for an operation's new collection, in case it is undone.

    It is stored in the record as `spare`; no `spare` means that the collection existed.
    Raises OperationError if the collection's own name is too long.
    """
    refuse_long_name(work.db, collection)
    return work.bench.asides.free_name(work.record.revision, collection)


def remove_created(work: Work, collection: str) -> bool:
    """Undo the creation of a collection; documents inserted meanwhile are kept.

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
