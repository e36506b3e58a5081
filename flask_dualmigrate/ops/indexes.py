"""Operations on indexes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from .base import Kind, Operation

Keys = tuple[tuple[str, int | str], ...]
"""The key of an index: (field, 1 | -1 | "text" | "hashed" | …), in order."""


@dataclasses.dataclass(frozen=True)
class CreateIndex(Operation):
    """Build an index; an existing one of the same name and definition is left as it is.

    options: those of MongoDB's createIndexes, by its own names (unique,
    partialFilterExpression, expireAfterSeconds, sparse, collation, weights, hidden, …).
    """

    verb: ClassVar[str] = "create_index"
    positional: ClassVar[int] = 2
    usual_kind: ClassVar[Kind] = Kind.IDEMPOTENT
    collection: str
    keys: Keys
    name: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def unique(self) -> bool:
        return bool(self.options.get("unique"))

    def describe(self) -> str:
        keys = ", ".join(f"{field} {way}" for field, way in self.keys)
        unique = "unique " if self.unique else ""
        more = {key: val for key, val in self.options.items() if key != "unique"}
        options = f" with {more!r}" if more else ""
        place = f"{self.collection} ({keys})"
        return f"create {unique}index {self.name} on {place}{options}"

    def reverse(self) -> Operation:
        return DropIndex(self.collection, self.name)


@dataclasses.dataclass(frozen=True)
class DropIndex(Operation):
    """Drop an index by name; its definition is kept so that it can be rebuilt."""

    verb: ClassVar[str] = "drop_index"
    positional: ClassVar[int] = 2
    usual_kind: ClassVar[Kind] = Kind.IDEMPOTENT
    collection: str
    name: str

    def describe(self) -> str:
        return f"drop index {self.name} of {self.collection}"
