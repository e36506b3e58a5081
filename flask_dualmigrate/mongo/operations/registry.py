"""The registry of handlers: the only way into the other files of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...ops import (
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
from .collections import CreateCollectionHandler, DropCollectionHandler
from .convert import ConvertFieldHandler
from .copy_field import CopyFieldHandler
from .delete import DeleteHandler
from .documents import TransformHandler, UpdateHandler
from .fields import AddFieldHandler, DropFieldHandler
from .handler import Handler
from .indexes import CreateIndexHandler, DropIndexHandler
from .insert import InsertHandler
from .rename_collection import RenameCollectionHandler
from .rename_field import RenameFieldHandler
from .run import RunHandler
from .validators import SetValidatorHandler

HANDLERS: dict[type[Operation], Handler[Any]] = {
    AddField: AddFieldHandler(),
    ConvertField: ConvertFieldHandler(),
    CopyField: CopyFieldHandler(),
    CreateCollection: CreateCollectionHandler(),
    CreateIndex: CreateIndexHandler(),
    Delete: DeleteHandler(),
    DropCollection: DropCollectionHandler(),
    DropField: DropFieldHandler(),
    DropIndex: DropIndexHandler(),
    Insert: InsertHandler(),
    RenameCollection: RenameCollectionHandler(),
    RenameField: RenameFieldHandler(),
    Run: RunHandler(),
    SetValidator: SetValidatorHandler(),
    Transform: TransformHandler(),
    Update: UpdateHandler(),
}
"""Every operation except `todo`, which is refused before a run begins."""


def handled(
    operations: Iterable[Operation],
) -> Iterator[tuple[Operation, Handler[Any]]]:
    """Yield each operation with its handler. A todo has none, and is left out."""
    for operation in operations:
        handler = HANDLERS.get(type(operation))
        if handler is not None:
            yield operation, handler


def why_not_standalone(operation: Operation) -> str | None:
    """Return why an operation needs transactions; None if it does not."""
    handler = HANDLERS.get(type(operation))
    return None if handler is None else handler.why_not_standalone(operation)
