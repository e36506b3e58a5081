"""What the MongoDB repositories have in common: transactions, finding by id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pymongo import DESCENDING
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from ...entities import Log, Page, Slice
from ...errors import ConflictError, InvalidInputError, NotFoundError
from .documents import CODEC_OPTIONS, Document, Entity, to_document, to_entity

Result = TypeVar("Result")


class Store:
    """The app's database, and what is done with it."""

    def __init__(self, db: Database[Document]) -> None:
        self.db = db.with_options(codec_options=CODEC_OPTIONS)
        self.items = self.db["item"]
        self.types = self.db["type"]
        self.users = self.db["user"]
        self.locations = self.db["location"]
        self.logs = self.db["activity_logs"]
        self.favorites = self.db["favorites"]
        self.related_items = self.db["related_items"]
        self.movements = self.db["movements"]

    def transact(
        self, work: Callable[[ClientSession], Result], *, by: str | None
    ) -> Result:
        """Commit what `work` does in a session, or nothing of it.

        `work` is called again when another transaction changed the same documents.
        Raises ConflictError for a unique index that it breaks, and InvalidInputError
        when there is no user `by`.
        """

        def checked(session: ClientSession) -> Result:
            self.require("by", self.users, by, session)
            return work(session)

        try:
            with self.db.client.start_session() as session:
                return session.with_transaction(checked)
        except DuplicateKeyError as error:
            raise conflict(error) from error

    def log(self, entry: Log, session: ClientSession) -> None:
        """Write a log entry in the transaction of `session`."""
        self.logs.insert_one(to_document(entry), session=session)

    def require(
        self,
        field: str,
        collection: Collection[Document],
        id: str | None,
        session: ClientSession,
    ) -> None:
        """Raise InvalidInputError if `id`, the value of `field`, names nothing."""
        if id is not None and not exists(collection, id, session):
            raise InvalidInputError(field, f"there is no such id: {id!r}")

    def demand(
        self,
        kind: str,
        collection: Collection[Document],
        id: str,
        session: ClientSession | None = None,
    ) -> None:
        """Raise NotFoundError if no document has this id."""
        if not exists(collection, id, session):
            raise NotFoundError(kind, id)

    def newest(
        self,
        kind: type[Entity],
        collection: Collection[Document],
        query: Document,
        *,
        by_time: str = "created_at",
    ) -> list[Entity]:
        """Return all that a query finds, the newest first."""
        found = collection.find(query).sort(
            [(by_time, DESCENDING), ("_id", DESCENDING)]
        )
        return [to_entity(kind, document) for document in found]

    def page(
        self,
        kind: type[Entity],
        collection: Collection[Document],
        query: Document,
        part: Slice | None,
    ) -> Page[Entity]:
        """Return a part of what a query finds, and the number of all it finds."""
        part = part or Slice()
        found = collection.find(query, skip=part.offset, limit=part.limit)
        newest = found.sort([("created_at", DESCENDING), ("_id", DESCENDING)])
        entries = [to_entity(kind, document) for document in newest]
        return Page(entries, collection.count_documents(query))


def exists(
    collection: Collection[Document], id: str, session: ClientSession | None
) -> bool:
    """Say whether a document has this id."""
    return collection.find_one({"_id": id}, {"_id": 1}, session=session) is not None


def conflict(error: DuplicateKeyError) -> ConflictError:
    """Say which value is taken."""
    details: dict[str, Any] = dict(error.details or {})
    fields = ", ".join(details.get("keyPattern", {}))
    return ConflictError(f"There is one with the same {fields}.", field=fields)
