"""Operations on documents: update, transform, insert, delete."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from .base import Batched, Operation, name_of

Document = Mapping[str, Any]
UpdateSpec = Mapping[str, Any] | tuple[Mapping[str, Any], ...]
"""An update document with operators ($set, $inc, …), or a pipeline of stages."""


@dataclasses.dataclass(frozen=True)
class Update(Batched):
    """A server-side update of the matching documents, in batches.

    undo: the inverse update, applied to the documents that were updated; keep: the
    documents as they were go aside. With neither it cannot be undone.
    """

    verb: ClassVar[str] = "update"
    positional: ClassVar[int] = 3
    collection: str
    filter: Document
    update: UpdateSpec
    undo: UpdateSpec | None = None
    keep: bool = False

    @property
    def undoable(self) -> bool:
        return self.undo is not None or self.keep

    def describe(self) -> str:
        which = f" where {dict(self.filter)!r}" if self.filter else ""
        undo = "" if self.undoable else " (cannot be undone)"
        return f"update {self.collection}{which}: {_update_text(self.update)}{undo}"


@dataclasses.dataclass(frozen=True)
class Transform(Batched):
    """A Python function called for each document; results are written in bulk.

    fn: takes a document (dict), returns the one to store, or None to leave it as it is.
    The `_id` must not change. undo: the inverse function; keep: as for Update.
    """

    verb: ClassVar[str] = "transform"
    positional: ClassVar[int] = 2
    collection: str
    fn: Callable[[dict[str, Any]], dict[str, Any] | None]
    filter: Document = dataclasses.field(default_factory=dict)
    undo: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None
    keep: bool = False

    @property
    def undoable(self) -> bool:
        return self.undo is not None or self.keep

    def describe(self) -> str:
        which = f" where {dict(self.filter)!r}" if self.filter else ""
        undo = "" if self.undoable else " (cannot be undone)"
        name = name_of(self.fn)
        return f"transform {self.collection}{which} with {name}(){undo}"


@dataclasses.dataclass(frozen=True)
class Insert(Operation):
    """Insert documents; those without an `_id` get an ObjectId when it runs."""

    verb: ClassVar[str] = "insert"
    positional: ClassVar[int] = 2
    collection: str
    documents: tuple[Document, ...]

    def describe(self) -> str:
        count = len(self.documents)
        noun = "document" if count == 1 else "documents"
        return f"insert {count} {noun} into {self.collection}"

    def reverse(self) -> Operation | None:
        ids = [doc["_id"] for doc in self.documents if "_id" in doc]
        if len(ids) != len(self.documents):
            return None
        return Delete(self.collection, {"_id": {"$in": ids}})


@dataclasses.dataclass(frozen=True)
class Delete(Batched):
    """Delete the matching documents in batches; kept aside unless keep=False."""

    verb: ClassVar[str] = "delete"
    positional: ClassVar[int] = 2
    collection: str
    filter: Document
    keep: bool = True

    @property
    def destructive(self) -> bool:
        return not self.keep

    def describe(self) -> str:
        how = "keep them aside" if self.keep else "for good"
        which = f"where {dict(self.filter)!r}" if self.filter else "all of them"
        return f"delete documents of {self.collection}, {which} ({how})"


def _update_text(update: UpdateSpec) -> str:
    return repr(dict(update) if isinstance(update, Mapping) else list(update))
