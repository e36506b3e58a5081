"""What lint can learn from a database; without one, nothing is known, nothing fails."""

from __future__ import annotations

from ...ops import CreateIndex, Operation, SetValidator


class Facts:
    """Counts of the database that the scripts will run on; None: not known.

    Each one is about collections as they are now, before the script runs. This class is
    for use without a database: nothing is known.
    """

    def documents(self, collection: str) -> int | None:
        """Return the number of documents in a collection; 0 if it does not exist."""

    def duplicates(self, index: CreateIndex) -> int | None:
        """Return how many documents share a key of a unique index."""

    def refused(self, validator: SetValidator) -> int | None:
        """Return how many documents a validator would refuse."""

    def having_both(self, collection: str, one: str, other: str) -> int | None:
        """Return how many documents have both of two fields."""

    def indexes(self, collection: str) -> int | None:
        """Return how many indexes a collection has."""

    def views_on(self, collection: str) -> tuple[str, ...] | None:
        """Return the views that read a collection, directly or through other views."""

    def shard_key(self, collection: str) -> tuple[str, ...] | None:
        """Return the fields of a shard key; empty if it is not sharded."""

    def has_transactions(self) -> bool | None:
        """Return whether the server is a member of a replica set, or a mongos."""


UNKNOWN = Facts()


def collection_of(operation: Operation) -> str | None:
    """Return the collection of an operation; None if it does not name one."""
    name = getattr(operation, "collection", None)
    return None if name is None else str(name)
