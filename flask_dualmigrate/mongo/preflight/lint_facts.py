"""What lint asks a MongoDB, if there is one; nothing if it is away or refuses."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, TypeVar

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError

from ...errors import DatabaseUnavailable
from ...linter import UNKNOWN, Facts
from ...ops import CreateIndex, SetValidator
from ..forecast.duplicates import duplicates
from ..server.dependent_views import views_on
from ..server.transactions import supports_transactions
from ..server.views import collection_info, exact_view

CONNECT_S = 0.3
"""Seconds that lint waits for a server, which it does not require."""

COUNT_S = 10.0
"""Seconds that one count may take."""

Answer = TypeVar("Answer")


class MongoFacts:
    """Connects once, when a rule first asks something.

    applied: reads the ids of the revisions that the database has. Nothing is reported
    about these: what they did is done.
    """

    def __init__(
        self, db: Database[Any] | None, applied: Callable[[], Collection[str]]
    ) -> None:
        self._db = db
        self._read_applied = applied

    def of(self, revision_id: str) -> Facts:
        """Return what a pending revision would meet."""
        return UNKNOWN if self._db is None else _OfRevision(self, self._db, revision_id)

    @cached_property
    def applied(self) -> Collection[str] | None:
        """The revisions that are applied; None if the server is away."""
        assert self._db is not None
        try:
            with pymongo.timeout(CONNECT_S):
                self._db.client.admin.command("ping")
            with pymongo.timeout(COUNT_S):
                return self._read_applied()
        except (PyMongoError, DatabaseUnavailable):
            return None


class _OfRevision(Facts):
    def __init__(self, facts: MongoFacts, db: Database[Any], revision_id: str) -> None:
        self._facts = facts
        self._db = db
        self._revision_id = revision_id

    def _ask(self, question: Callable[[], Answer]) -> Answer | None:
        applied = self._facts.applied
        if applied is None or self._revision_id in applied:
            return None
        try:
            with pymongo.timeout(COUNT_S):
                return question()
        except PyMongoError:  # no privilege, too slow, or gone: it is not known
            return None

    def documents(self, collection: str) -> int | None:
        return self._ask(self._db[collection].estimated_document_count) or None

    def duplicates(self, index: CreateIndex) -> int | None:
        """Count duplicates; an empty collection says nothing about production."""
        if not self.documents(index.collection):
            return None

        def count() -> int | None:
            found = duplicates(exact_view(self._db), index.collection, index)
            if found is None:
                return None
            return int(found["total"][0]["documents"]) if found["total"] else 0

        return self._ask(count)

    def refused(self, validator: SetValidator) -> int | None:
        query: dict[str, Any] = {"$nor": [dict(validator.validator or {})]}
        if not self.documents(validator.collection):
            return None
        return self._count(validator.collection, query)

    def having_both(self, collection: str, one: str, other: str) -> int | None:
        both = {one: {"$exists": True}, other: {"$exists": True}}
        if not self.documents(collection):
            return None
        return self._count(collection, both)

    def _count(self, collection: str, query: dict[str, Any]) -> int | None:
        return self._ask(lambda: self._db[collection].count_documents(query))

    def indexes(self, collection: str) -> int | None:
        def count() -> int:
            if collection_info(exact_view(self._db), collection) is None:
                return 0
            return len(self._db[collection].index_information())

        return self._ask(count)

    def views_on(self, collection: str) -> tuple[str, ...] | None:
        return self._ask(lambda: views_on(exact_view(self._db), collection))

    def shard_key(self, collection: str) -> tuple[str, ...] | None:
        def key() -> tuple[str, ...]:
            namespace = f"{self._db.name}.{collection}"
            collections = self._db.client["config"]["collections"]
            found = collections.find_one({"_id": namespace}) or {}
            return tuple(found.get("key", ()))

        return self._ask(key)

    def has_transactions(self) -> bool | None:
        return self._ask(lambda: supports_transactions(self._db))
