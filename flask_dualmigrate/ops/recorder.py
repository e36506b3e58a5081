"""`op`, as a Mongo script's upgrade(op) and downgrade(op) get it: it records.

Nothing touches a database while a script's function runs. Each call checks its
arguments, appends one frozen operation to the list, and returns it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


class MongoOperations:
    """The language of a Mongo script; `operations` is what was said so far.

    Where documents are worked on in batches, batch_size= is how many a transaction has
    at most (None: as many as DUALMIGRATE_BATCH_SECONDS allows, from 1,000 on), and
    workers= in how many parts the collection is worked on side by side.
    """

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._models: tuple[Any, ...] = ()

    @property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(self._operations)

    def _record(self, operation: Op) -> Op:
        self._operations.append(operation)
        return operation

    @staticmethod
    def now() -> Now:
        """Return the value that stands for the time of the MongoDB server."""
        return NOW

    def create_collection(self, collection: str, **options: Any) -> CreateCollection:
        """Create a collection; options as MongoDB's `create` command names them."""
        return self._record(CreateCollection(collection_name(collection), own(options)))

    def drop_collection(self, collection: str, *, keep: bool = True) -> DropCollection:
        """Drop a collection; keep=False drops it for good."""
        return self._record(DropCollection(collection_name(collection), keep=keep))

    def rename_collection(self, collection: str, new_name: str) -> RenameCollection:
        """Rename a collection, its indexes with it."""
        return self._record(
            RenameCollection(collection_name(collection), collection_name(new_name))
        )

    def set_validator(
        self,
        collection: str,
        validator: Mapping[str, Any] | None,
        *,
        level: str = "strict",
        action: str = "error",
    ) -> SetValidator:
        """Set or, with None, remove the validator of a collection (collMod)."""
        one_of("level", level, ("off", "strict", "moderate"))
        one_of("action", action, ("error", "warn"))
        rules = None if validator is None else document("validator", validator)
        return self._record(
            SetValidator(collection_name(collection), rules, level=level, action=action)
        )

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
        """Give a field to the documents that lack it.

        default: a BSON value, or op.now(); using: an aggregation expression.
        """
        if default is not MISSING and using is not MISSING:
            raise ScriptError("add_field() takes default= or using=, not both")
        return self._record(
            AddField(
                collection_name(collection),
                field_name(field),
                default=own(default),
                using=own(using),
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
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
        """Take a field out of every document; keep=False drops the values for good."""
        return self._record(
            DropField(
                collection_name(collection),
                field_name(field),
                keep=keep,
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
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
        """Rename a field where it stands in each document."""
        return self._record(
            RenameField(
                collection_name(collection),
                field_name(field),
                field_name(new_name),
                overwrite=overwrite,
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
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
        """Copy a field to another one, in the documents that have it."""
        return self._record(
            CopyField(
                collection_name(collection),
                field_name(field),
                field_name(target),
                overwrite=overwrite,
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
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
        """Convert a field to another BSON type, by $convert or by `using`."""
        one_of("to", to, CONVERSIONS)
        one_of("on_error", on_error, ON_ERROR)
        return self._record(
            ConvertField(
                collection_name(collection),
                field_name(field),
                to=to,
                on_error=on_error,
                using=own(using),
                keep=keep,
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
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
        """Build an index; options as MongoDB's `createIndexes` command names them."""
        return self._record(
            CreateIndex(
                collection_name(collection),
                index_keys(keys),
                index_name(name),
                own(options),
            )
        )

    def drop_index(self, collection: str, name: str) -> DropIndex:
        """Drop an index by its name."""
        return self._record(DropIndex(collection_name(collection), index_name(name)))

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
        """Update the documents that match, on the server, in batches.

        update: a document of operators, or a pipeline; undo: its inverse, for the
        documents that were updated; keep=True keeps them aside as they were.
        """
        return self._record(
            Update(
                collection_name(collection),
                document("filter", filter),
                update_spec(update),
                undo=None if undo is None else update_spec(undo),
                keep=keep,
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
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
        """Pass every document that matches through a Python function."""
        return self._record(
            Transform(
                collection_name(collection),
                function(fn),
                filter=document("filter", filter or {}),
                undo=None if undo is None else function(undo),
                keep=keep,
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
            )
        )

    def insert(
        self, collection: str, documents: Document | Iterable[Document]
    ) -> Insert:
        """Insert one document or several."""
        many = [documents] if isinstance(documents, Mapping) else documents
        copies = tuple(document("document", each) for each in many)
        return self._record(Insert(collection_name(collection), copies))

    def delete(
        self,
        collection: str,
        filter: Document,
        *,
        keep: bool = True,
        batch_size: int | None = None,
        workers: int = 1,
    ) -> Delete:
        """Delete the documents that match; keep=False deletes them for good."""
        return self._record(
            Delete(
                collection_name(collection),
                document("filter", filter),
                keep=keep,
                batch_size=number_of_documents(batch_size),
                workers=number_of_workers(workers),
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

        An `async def fn(db)` gets the database of an AsyncMongoClient.
        """
        if transactional and idempotent:
            raise ScriptError("run() takes transactional= or idempotent=, not both")
        return self._record(
            Run(
                function(fn),
                name=name,
                undo=None if undo is None else function(undo),
                transactional=transactional,
                idempotent=idempotent,
                models=self._models,
            )
        )

    def beanie(self, models: Iterable[Any]) -> None:
        """Let async functions of a `run` that follows use Beanie documents.

        models: their classes, or dotted paths. It is no operation: nothing is done.
        """
        self._models += beanie_models(models)

    def todo(self, text: str) -> Todo:
        """Say what is left to write; upgrade refuses a script that has one."""
        return self._record(Todo(text))
