"""Which handler applies which operation."""

from __future__ import annotations

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
from .collections import (
    CreateCollectionHandler,
    DropCollectionHandler,
    RenameCollectionHandler,
    SetValidatorHandler,
)
from .convert import ConvertFieldHandler
from .documents import DeleteHandler, TransformHandler, UpdateHandler
from .fields import AddFieldHandler, DropFieldHandler
from .handler import Handler
from .indexes import CreateIndexHandler, DropIndexHandler
from .insert import InsertHandler
from .moves import CopyFieldHandler, RenameFieldHandler
from .run import RunHandler

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
