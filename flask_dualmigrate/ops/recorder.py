"""`op`, the recorder that a Mongo script's upgrade(op) and downgrade(op) receive.

Nothing touches a database while a script's function runs. Each call checks its
arguments, appends one frozen operation to the list, and returns it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from ..errors import ScriptError
from .base import MISSING, NOW, Now, Operation
from .checks import (
    beanie_models,
    collection_name,
    document,
    field_name,
    function,
    index_keys,
    index_name,
    number_of_documents,
    number_of_workers,
    one_of,
    own,
    update_spec,
)
from .collections import (
    CreateCollection,
    DropCollection,
    RenameCollection,
    SetValidator,
)
from .documents import Delete, Document, Insert, Transform, Update
from .fields import (
    CONVERSIONS,
    ON_ERROR,
    AddField,
    ConvertField,
    CopyField,
    DropField,
    RenameField,
)
from .indexes import CreateIndex, DropIndex
from .run import Run, Todo

Op = TypeVar("Op", bound=Operation)
TransformFn = Callable[[dict[str, Any]], dict[str, Any] | None]

_CHECKS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("collection", collection_name),
    ("field", field_name),
    ("filter", partial(document, "filter")),
    ("fn", function),
    ("default", own),
    ("using", own),
    ("options", own),
    ("batch_size", number_of_documents),
    ("workers", number_of_workers),
)
"""Field of an operation -> what checks or copies it, for all that have the field."""


class MongoOperations:
    """The operations of a Mongo script; `operations` lists those recorded so far.

    In operations that process documents in batches, batch_size= limits the number of
    documents in a transaction (None: start with 1,000, then as many as
    DUALMIGRATE_BATCH_SECONDS allows), and workers= is the number of parts of the
    collection that are processed in parallel.
    """

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._models: tuple[Any, ...] = ()

    @property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(self._operations)

    def _record(self, operation: Op) -> Op:
        """Check and copy what the script gave, and append the operation."""
        given = vars(operation)
        checked = {name: check(given[name]) for name, check in _CHECKS if name in given}
        recorded = dataclasses.replace(operation, **checked)
        self._operations.append(recorded)
        return recorded

    @staticmethod
    def now() -> Now:
        """Return a placeholder for the current time of the MongoDB server."""
        return NOW

    def create_collection(self, collection: str, **options: Any) -> CreateCollection:
        """Create a collection.

        options: those of MongoDB's `create` command, by the same names.
        """
        return self._record(CreateCollection(collection, options))

    def drop_collection(self, collection: str, *, keep: bool = True) -> DropCollection:
        """Drop a collection.

        It is kept under another name, so that it can be restored; keep=False drops it
        permanently.
        """
        return self._record(DropCollection(collection, keep=keep))

    def rename_collection(self, collection: str, new_name: str) -> RenameCollection:
        """Rename a collection and keep its indexes."""
        return self._record(RenameCollection(collection, collection_name(new_name)))

    def set_validator(
        self,
        collection: str,
        validator: Mapping[str, Any] | None,
        *,
        level: str = "strict",
        action: str = "error",
    ) -> SetValidator:
        """Set the validator of a collection with collMod, or remove it with None."""
        one_of("level", level, ("off", "strict", "moderate"))
        one_of("action", action, ("error", "warn"))
        rules = None if validator is None else document("validator", validator)
        return self._record(SetValidator(collection, rules, level=level, action=action))

    def add_field(
        self,
        collection: str,
        field: str,
        *,
        default: Any = MISSING,
        using: Any = MISSING,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> AddField:
        """Add a field to the documents that lack it.

        default: a BSON value, or op.now(). using: an aggregation expression that
        computes the value. With neither, no document is changed.
        """
        if default is not MISSING and using is not MISSING:
            raise ScriptError("add_field() takes default= or using=, not both")
        return self._record(
            AddField(
                collection,
                field,
                default=default,
                using=using,
                batch_size=batch_size,
                workers=workers,
            )
        )

    def drop_field(
        self,
        collection: str,
        field: str,
        *,
        keep: bool = True,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> DropField:
        """Remove a field from every document.

        The values are kept in an aside collection, so that they can be restored;
        keep=False drops them permanently.
        """
        return self._record(
            DropField(
                collection, field, keep=keep, batch_size=batch_size, workers=workers
            )
        )

    def rename_field(
        self,
        collection: str,
        field: str,
        new_name: str,
        *,
        overwrite: bool = False,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> RenameField:
        """Rename a field in every document, and keep its position.

        overwrite=True replaces the value of an existing field of the new name, and
        keeps it in an aside collection.
        """
        return self._record(
            RenameField(
                collection,
                field,
                field_name(new_name),
                overwrite=overwrite,
                batch_size=batch_size,
                workers=workers,
            )
        )

    def copy_field(
        self,
        collection: str,
        field: str,
        target: str,
        *,
        overwrite: bool = False,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> CopyField:
        """Copy a field to another one in the documents that have it.

        overwrite=True replaces the value of an existing target field, and keeps it in
        an aside collection.
        """
        return self._record(
            CopyField(
                collection,
                field,
                field_name(target),
                overwrite=overwrite,
                batch_size=batch_size,
                workers=workers,
            )
        )

    def convert_field(
        self,
        collection: str,
        field: str,
        *,
        to: str,
        on_error: str = "fail",
        using: Any = MISSING,
        keep: bool = True,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> ConvertField:
        """Convert a field to another BSON type, with $convert or with `using`.

        on_error: what to do with a value that cannot be converted: "fail", "null" or
        "keep". The former values are kept in an aside collection unless keep=False.
        """
        one_of("to", to, CONVERSIONS)
        one_of("on_error", on_error, ON_ERROR)
        return self._record(
            ConvertField(
                collection,
                field,
                to=to,
                on_error=on_error,
                using=using,
                keep=keep,
                batch_size=batch_size,
                workers=workers,
            )
        )

    def create_index(
        self,
        collection: str,
        keys: str | Sequence[tuple[str, int | str]],
        *,
        name: str,
        **options: Any,
    ) -> CreateIndex:
        """Build an index.

        options: those of MongoDB's `createIndexes` command, by the same names.
        """
        return self._record(
            CreateIndex(collection, index_keys(keys), index_name(name), options)
        )

    def drop_index(self, collection: str, name: str) -> DropIndex:
        """Drop an index, given by its name."""
        return self._record(DropIndex(collection, index_name(name)))

    def update(
        self,
        collection: str,
        filter: Document,
        update: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        undo: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        keep: bool = False,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> Update:
        """Update the matching documents on the server, in batches.

        update: a document with update operators, or a pipeline. undo: the inverse
        update, for the documents that were updated. keep=True keeps copies of the
        original documents in an aside collection.
        """
        return self._record(
            Update(
                collection,
                filter,
                update_spec(update),
                undo=None if undo is None else update_spec(undo),
                keep=keep,
                batch_size=batch_size,
                workers=workers,
            )
        )

    def transform(
        self,
        collection: str,
        fn: TransformFn,
        *,
        filter: Document | None = None,
        undo: TransformFn | None = None,
        keep: bool = False,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> Transform:
        """Pass every matching document through a Python function.

        fn: returns the document to store, or None to leave it unchanged. undo: the
        inverse function. keep=True keeps copies of the original documents in an aside
        collection.
        """
        return self._record(
            Transform(
                collection,
                fn,
                filter=filter or {},
                undo=None if undo is None else function(undo),
                keep=keep,
                batch_size=batch_size,
                workers=workers,
            )
        )

    def insert(
        self, collection: str, documents: Document | Iterable[Document]
    ) -> Insert:
        """Insert one or more documents."""
        many = [documents] if isinstance(documents, Mapping) else documents
        copies = tuple(document("document", each) for each in many)
        return self._record(Insert(collection, copies))

    def delete(
        self,
        collection: str,
        filter: Document,
        *,
        keep: bool = True,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> Delete:
        """Delete the matching documents, in batches.

        They are kept in an aside collection, so that they can be restored; keep=False
        deletes them permanently.
        """
        return self._record(
            Delete(
                collection, filter, keep=keep, batch_size=batch_size, workers=workers
            )
        )

    def run(
        self,
        fn: Callable[..., Any],
        *,
        name: str | None = None,
        undo: Callable[..., Any] | None = None,
        transactional: bool = False,
        idempotent: bool = False,
    ) -> Run:
        """Call `fn(db)`, or `fn(db, session)` with transactional=True.

        An `async def fn(db)` receives the database of an AsyncMongoClient. undo: a
        function called in the same way to reverse it.
        """
        if transactional and idempotent:
            raise ScriptError("run() takes transactional= or idempotent=, not both")
        return self._record(
            Run(
                fn,
                name=name,
                undo=None if undo is None else function(undo),
                transactional=transactional,
                idempotent=idempotent,
                models=self._models,
            )
        )

    def beanie(self, models: Iterable[Any]) -> None:
        """Let the async functions of later `run` operations use Beanie documents.

        models: document classes, or their dotted paths. This is not an operation, and
        changes nothing by itself.
        """
        self._models += beanie_models(models)

    def todo(self, text: str) -> Todo:
        """Note what is still to be written; upgrade refuses a script with a todo."""
        return self._record(Todo(text))
