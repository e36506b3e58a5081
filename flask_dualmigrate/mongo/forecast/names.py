"""What collections are called now, while a plan that renames them is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ops import (
    MISSING,
    AddField,
    ConvertField,
    CopyField,
    CreateCollection,
    CreateIndex,
    Delete,
    DropCollection,
    DropField,
    DropIndex,
    Insert,
    Operation,
    RenameCollection,
    RenameField,
    Run,
    SetValidator,
    Transform,
    Update,
)

Specs = Mapping[str, Mapping[str, Any]]
"""Name of an index -> its specification."""

ANY = frozenset({"*"})
"""Stands for fields that cannot be derived from an operation."""


def fields_read(operation: Operation) -> frozenset[str]:
    """Return the fields, by their first names, that decide what an operation does."""
    match operation:
        case CreateIndex(_, keys, _, options):
            whole = "partialFilterExpression" in options
            return ANY if whole else _roots(*(field for field, _ in keys))
        case AddField(_, field) | ConvertField(_, field):
            return _roots(field) if operation.using is MISSING else ANY
        case DropField(_, field):
            return _roots(field)
        case RenameField(_, field, other) | CopyField(_, field, other):
            return _roots(field, other)
        case CreateCollection() | DropCollection() | RenameCollection() | DropIndex():
            return frozenset()
    return ANY


def fields_written(operation: Operation) -> frozenset[str]:
    """Return the fields, by their first names, that an operation changes."""
    match operation:
        case AddField(_, field) | DropField(_, field) | ConvertField(_, field):
            return _roots(field)
        case RenameField(_, field, other):
            return _roots(field, other)
        case CopyField(_, _, target):
            return _roots(target)
        case Update() | Transform() | Delete() | Insert():
            return ANY
    return frozenset()


def _overlap(written: frozenset[str], read: frozenset[str]) -> bool:
    if not read:
        return False
    return ANY in (written, read) or bool(written & read)


def _roots(*fields: str) -> frozenset[str]:
    return frozenset(field.split(".")[0] for field in fields)


class Names:
    """Replays the operations of a plan on the names alone.

    A collection that an operation before makes has no name in the database yet: None.
    """

    def __init__(self) -> None:
        self._now: dict[str, str | None] = {}
        self._written: dict[str, list[frozenset[str]]] = {}
        self._indexes: dict[str, dict[str, CreateIndex | None]] = {}
        self._eased: set[str] = set()
        self._validators: dict[str, SetValidator] = {}
        self._filled: set[str] = set()
        self._created: set[str] = set()
        self._ran = False

    def now(self, name: str) -> str | None:
        """Return what a collection is called in the database; None: not there yet."""
        return self._now.get(name, name)

    def moved(self, name: str) -> bool:
        """True if an operation before it made, renamed or dropped that collection."""
        return name in self._now

    def makes(self, name: str) -> bool:
        """True if that collection may be there only once the plan has come so far."""
        return self._ran or self.moved(name) or name in self._created

    def writes_before(self, operation: Operation) -> int:
        """Return how many operations before it write what an operation goes by."""
        name, read = getattr(operation, "collection", ""), fields_read(operation)
        written = self._written.get(name, [])
        return sum(_overlap(fields, read) for fields in written)

    @property
    def ran(self) -> bool:
        """True if a function of the script comes before it: it may do anything."""
        return self._ran

    def indexes(self, collection: str, now: Specs) -> Specs:
        """Return the indexes of a collection when an operation runs, by their names.

        now: those that it has in the database.
        """
        found = dict(now)
        for name, index in self._indexes.get(collection, {}).items():
            if index is None:
                found.pop(name, None)
            else:
                found.setdefault(name, {"key": dict(index.keys), **index.options})
        return found

    def replay(
        self, operation: Operation, source: str | None = None, *, there: bool = True
    ) -> None:
        """Take an operation for done.

        source: the aside that a downgrade renames back to the collection. there: the
        collection may be there; one that is not is not renamed.
        """
        match operation:
            case Run():
                self._ran = True
            case RenameCollection(old, new) if there:
                self._now[new], self._now[old] = self.now(old), None
                self._written[new] = self._written.pop(old, [])
                self._indexes[new] = self._indexes.pop(old, {})
                if old in self._validators:
                    self._validators[new] = self._validators.pop(old)
            case DropCollection(name):
                self._now[name] = None
                self._written.pop(name, None)
                self._indexes.pop(name, None)
                self._validators.pop(name, None)
            case SetValidator(name):
                self._validators[name] = operation
            case CreateCollection(name) if source is not None:
                self._now[name] = source
            case CreateIndex(name, _, index):
                self._indexes.setdefault(name, {})[index] = operation
            case DropIndex(name, index):
                self._indexes.setdefault(name, {})[index] = None
        self._count(operation)

    def _count(self, operation: Operation) -> None:
        name: str = getattr(operation, "collection", "")
        if isinstance(operation, DropIndex | SetValidator):
            self._eased.add(name)
        if isinstance(operation, Insert):
            self._filled.add(name)
        if isinstance(
            operation, CreateCollection | CreateIndex | Insert | SetValidator
        ):
            self._created.add(name)
        written = fields_written(operation)
        if written:
            self._written.setdefault(name, []).append(written)

    def eased(self, name: str) -> bool:
        """True if an operation before it drops an index or changes a validator."""
        return name in self._eased

    def validator(self, name: str) -> SetValidator | None:
        """Return the operation before it that sets the collection's validator."""
        return self._validators.get(name)

    def note(self, operation: Operation, *, empty: bool) -> str | None:
        """Say what a count leaves out, as the operations before it have not run.

        empty: the collection has no documents now; only an insert can bring some.
        """
        name = getattr(operation, "collection", "")
        count = self.writes_before(operation)
        if count and (not empty or name in self._filled):
            who = (
                "the operation above that writes"
                if count == 1
                else f"the {count} operations above that write"
            )
            return f"counted in {name} as it is now, before {who} to it"
        if self._ran:
            return f"counted in {name} as it is now: the run() above may change it"
        if isinstance(operation, Insert):
            return None
        now = self.now(name)
        if now is None:
            return f"{name} does not exist yet: it is empty, or dropped, when this runs"
        return f"counted in {now}, which is {name} then" if now != name else None
