"""Operations on whole collections."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from .base import Kind, Operation


@dataclasses.dataclass(frozen=True)
class CreateCollection(Operation):
    """Create a collection; an existing one is left as it is."""

    verb: ClassVar[str] = "create_collection"
    usual_kind: ClassVar[Kind] = Kind.IDEMPOTENT
    collection: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def describe(self) -> str:
        options = f" with {dict(self.options)!r}" if self.options else ""
        return f"create collection {self.collection}{options}"

    def reverse(self) -> Operation:
        return DropCollection(self.collection)


@dataclasses.dataclass(frozen=True)
class DropCollection(Operation):
    """Drop a collection; it is kept under another name unless keep=False."""

    verb: ClassVar[str] = "drop_collection"
    usual_kind: ClassVar[Kind] = Kind.IDEMPOTENT
    collection: str
    keep: bool = True

    @property
    def destructive(self) -> bool:
        return not self.keep

    def describe(self) -> str:
        how = "keep it aside" if self.keep else "for good"
        return f"drop collection {self.collection} ({how})"

    def reverse(self) -> Operation | None:
        return CreateCollection(self.collection) if self.keep else None


@dataclasses.dataclass(frozen=True)
class RenameCollection(Operation):
    """Rename a collection and its indexes; refused if the new name is taken."""

    verb: ClassVar[str] = "rename_collection"
    positional: ClassVar[int] = 2
    usual_kind: ClassVar[Kind] = Kind.IDEMPOTENT
    collection: str
    new_name: str

    def describe(self) -> str:
        return f"rename collection {self.collection} to {self.new_name}"

    def reverse(self) -> Operation:
        return RenameCollection(self.new_name, self.collection)


@dataclasses.dataclass(frozen=True)
class SetValidator(Operation):
    """Set or, with None, remove the validator of a collection.

    level: "off", "strict" or "moderate"; action: "error" or "warn", as in collMod.
    """

    verb: ClassVar[str] = "set_validator"
    positional: ClassVar[int] = 2
    usual_kind: ClassVar[Kind] = Kind.IDEMPOTENT
    collection: str
    validator: Mapping[str, Any] | None
    level: str = "strict"
    action: str = "error"

    def describe(self) -> str:
        if self.validator is None:
            return f"remove the validator of {self.collection}"
        return f"set a validator on {self.collection} ({self.level}, {self.action})"
