"""Operations on one field of every document of a collection, in batches."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from .base import MISSING, Batched, Operation, quoted

BATCH_SIZE = 1000
"""The size of the first batch, in documents, of an operation without `batch_size`."""

CONVERSIONS = (
    "string",
    "int",
    "long",
    "double",
    "decimal",
    "bool",
    "date",
    "objectId",
    "array",
)
"""Values of `convert_field(to=…)`: MongoDB's aliases of BSON types."""

ON_ERROR = ("fail", "null", "keep")
"""Values of `convert_field(on_error=…)`."""


@dataclasses.dataclass(frozen=True)
class AddField(Batched):
    """Add a field to the documents that lack it.

    default: a BSON value, or NOW; using: an aggregation expression over the document.
    With neither, documents are left as they are (a missing field reads as null).
    """

    verb: ClassVar[str] = "add_field"
    positional: ClassVar[int] = 2
    collection: str
    field: str
    default: Any = MISSING
    using: Any = MISSING

    @property
    def writes(self) -> bool:
        """False if there is no value to write."""
        return self.default is not MISSING or self.using is not MISSING

    def describe(self) -> str:
        place = f"{self.collection}.{self.field}"
        if self.using is not MISSING:
            return f"add field {place}, computed by {self.using!r}"
        if self.default is MISSING:
            return f"add field {place} (no default: documents stay as they are)"
        return f"add field {place}, {quoted(self.default)} where it is missing"

    def reverse(self) -> Operation:
        return DropField(self.collection, self.field, **self.pace)


@dataclasses.dataclass(frozen=True)
class DropField(Batched):
    """Remove a field from every document; values are kept aside unless keep=False."""

    verb: ClassVar[str] = "drop_field"
    positional: ClassVar[int] = 2
    collection: str
    field: str
    keep: bool = True

    @property
    def destructive(self) -> bool:
        return not self.keep

    def describe(self) -> str:
        how = "keep the values aside" if self.keep else "for good"
        return f"drop field {self.collection}.{self.field} ({how})"

    def reverse(self) -> Operation | None:
        if not self.keep:
            return None
        return AddField(self.collection, self.field, **self.pace)


@dataclasses.dataclass(frozen=True)
class RenameField(Batched):
    """Rename a field; its position in the document stays the same.

    overwrite: a document that has both keeps the old value aside; without it such
    documents are counted first, and refused.
    """

    verb: ClassVar[str] = "rename_field"
    positional: ClassVar[int] = 3
    collection: str
    field: str
    new_name: str
    overwrite: bool = False

    def describe(self) -> str:
        return f"rename field {self.collection}.{self.field} to {self.new_name}"

    def reverse(self) -> Operation:
        return RenameField(self.collection, self.new_name, self.field, **self.pace)


@dataclasses.dataclass(frozen=True)
class CopyField(Batched):
    """Copy a field to another one in the documents that have it.

    overwrite: as for RenameField.
    """

    verb: ClassVar[str] = "copy_field"
    positional: ClassVar[int] = 3
    collection: str
    field: str
    target: str
    overwrite: bool = False

    def describe(self) -> str:
        return f"copy field {self.collection}.{self.field} to {self.target}"

    def reverse(self) -> Operation:
        return DropField(self.collection, self.target, **self.pace)


@dataclasses.dataclass(frozen=True)
class ConvertField(Batched):
    """Convert a field to another BSON type; null and missing stay as they are.

    to: one of CONVERSIONS. using: an aggregation expression that computes the value
    instead of $convert. on_error: "fail" counts the documents whose value would be
    lost, and refuses before the first write; "null" sets null; "keep" leaves them
    unchanged. The former values are kept aside.
    """

    verb: ClassVar[str] = "convert_field"
    positional: ClassVar[int] = 2
    collection: str
    field: str
    to: str
    on_error: str = "fail"
    using: Any = MISSING
    keep: bool = True

    @property
    def destructive(self) -> bool:
        return not self.keep

    def describe(self) -> str:
        how = "" if self.using is MISSING else f" using {self.using!r}"
        return (
            f"convert field {self.collection}.{self.field} to {self.to}{how} "
            f"(on error: {self.on_error})"
        )
