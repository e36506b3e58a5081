"""What collections are called now, while a plan that renames them is examined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ops import SetValidator

Specs = Mapping[str, Mapping[str, Any]]
"""Name of an index -> its specification."""

ANY = frozenset({"*"})
"""Stands for fields that cannot be derived from an operation."""


def _overlap(written: frozenset[str], read: frozenset[str]) -> bool:
    if not read:
        return False
    return ANY in (written, read) or bool(written & read)


def roots(*fields: str) -> frozenset[str]:
    """Return the top-level names of fields."""
    return frozenset(field.split(".")[0] for field in fields)


class Names:
    """Replays the operations of a plan on the names only.

    A collection that an earlier operation creates has no name in the database yet:
    None.
    """

    def __init__(self) -> None:
        self._now: dict[str, str | None] = {}
        self._written: dict[str, list[frozenset[str]]] = {}
        self._indexes: dict[str, dict[str, Mapping[str, Any] | None]] = {}
        self._eased: set[str] = set()
        self._validators: dict[str, SetValidator] = {}
        self._filled: set[str] = set()
        self._created: set[str] = set()
        self._ran = False

    def now(self, name: str) -> str | None:
        """Return what a collection is called in the database; None: not there yet."""
        return self._now.get(name, name)

    def moved(self, name: str) -> bool:
        """True if an earlier operation creates, renames or drops that collection."""
        return name in self._now

    def makes(self, name: str) -> bool:
        """True if that collection may not exist before the plan gets this far."""
        return self._ran or self.moved(name) or name in self._created

    def writes_before(self, name: str, read: frozenset[str]) -> int:
        """Return how many earlier operations write what an operation depends on.

        name: of its collection; read: the fields that decide what it does.
        """
        written = self._written.get(name, [])
        return sum(_overlap(fields, read) for fields in written)

    @property
    def ran(self) -> bool:
        """True if a function of the script runs earlier: it may do anything."""
        return self._ran

    def indexes(self, collection: str, now: Specs) -> Specs:
        """Return the indexes of a collection when an operation runs, by their names.

        now: those it currently has in the database.
        """
        found = dict(now)
        for name, index in self._indexes.get(collection, {}).items():
            if index is None:
                found.pop(name, None)
            else:
                found.setdefault(name, index)
        return found

    def call(self) -> None:
        """Note that a function of the script was called: it may have done anything."""
        self._ran = True

    def rename(self, old: str, new: str) -> None:
        self._now[new], self._now[old] = self.now(old), None
        self._written[new] = self._written.pop(old, [])
        self._indexes[new] = self._indexes.pop(old, {})
        if old in self._validators:
            self._validators[new] = self._validators.pop(old)

    def drop(self, name: str) -> None:
        self._now[name] = None
        self._written.pop(name, None)
        self._indexes.pop(name, None)
        self._validators.pop(name, None)

    def bring_back(self, name: str, source: str) -> None:
        """source: the aside that is renamed back to the collection."""
        self._now[name] = source

    def validate(self, operation: SetValidator) -> None:
        self._validators[operation.collection] = operation

    def index(self, name: str, index: str, spec: Mapping[str, Any] | None) -> None:
        """spec: of the index that is built; None: it is dropped."""
        self._indexes.setdefault(name, {})[index] = spec

    def write(self, name: str, written: frozenset[str]) -> None:
        """Note that fields of a collection are written."""
        if written:
            self._written.setdefault(name, []).append(written)

    def ease(self, name: str) -> None:
        self._eased.add(name)

    def fill(self, name: str) -> None:
        self._filled.add(name)

    def create(self, name: str) -> None:
        self._created.add(name)

    def eased(self, name: str) -> bool:
        """True if an earlier operation drops an index or changes a validator."""
        return name in self._eased

    def validator(self, name: str) -> SetValidator | None:
        """Return the earlier operation that sets the collection's validator."""
        return self._validators.get(name)

    def note(
        self, name: str, read: frozenset[str], *, empty: bool, fills: bool
    ) -> str | None:
        """Say what a count leaves out because earlier operations have not run.

        name: of the operation's collection; read: the fields that decide what it does.
        empty: the collection has no documents now; only an insert can add some. fills:
        the operation adds some, and does not count any.
        """
        count = self.writes_before(name, read)
        if count and (not empty or name in self._filled):
            who = (
                "the operation above that writes"
                if count == 1
                else f"the {count} operations above that write"
            )
            return f"counted in {name} as it is now, before {who} to it"
        if self._ran:
            return f"counted in {name} as it is now: the run() above may change it"
        if fills:
            return None
        now = self.now(name)
        if now is None:
            return f"{name} does not exist yet: it is empty, or dropped, when this runs"
        return f"counted in {now}, which is {name} then" if now != name else None
