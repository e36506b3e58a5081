"""What a database may tell lint; without one, nothing is known and nothing fails."""

from __future__ import annotations

from ...ops import CreateIndex, Operation, SetValidator


class Facts:
    """Counts of the database that the scripts will run on; None: not known.

    Each of them is asked for collections as they are now, before the script runs. This
    is without a database: nothing is known.
    """

    def documents(self, collection: str) -> int | None:
        """Return how many documents a collection has; 0 where it is not there."""

    def duplicates(self, index: CreateIndex) -> int | None:
        """Return how many documents share a key of a unique index."""

    def refused(self, validator: SetValidator) -> int | None:
        """Return how many documents a validator would refuse."""

    def having_both(self, collection: str, one: str, other: str) -> int | None:
        """Return how many documents have both of two fields."""

    def indexes(self, collection: str) -> int | None:
        """Return how many indexes a collection has."""

    def views_on(self, collection: str) -> tuple[str, ...] | None:
        """Return the views that read a collection, by way of other views too."""

    def shard_key(self, collection: str) -> tuple[str, ...] | None:
        """Return the fields of a shard key; empty where it is not sharded."""

    def has_transactions(self) -> bool | None:
        """Return whether the server is a member of a replica set, or a mongos."""


UNKNOWN = Facts()


def collection_of(operation: Operation) -> str | None:
    """Return the collection that an operation is on; None: it names none."""
    name = getattr(operation, "collection", None)
    return None if name is None else str(name)
