"""Which handler applies which operation."""

from __future__ import annotations

from typing import Any

from ..ops import (
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
from .apply_collections import (
    CreateCollectionHandler,
    DropCollectionHandler,
    RenameCollectionHandler,
    SetValidatorHandler,
)
from .apply_convert import ConvertFieldHandler
from .apply_documents import (
    DeleteHandler,
    TransformHandler,
    UpdateHandler,
)
from .apply_fields import AddFieldHandler, DropFieldHandler
from .apply_indexes import CreateIndexHandler, DropIndexHandler
from .apply_insert import InsertHandler
from .apply_moves import CopyFieldHandler, RenameFieldHandler
from .apply_run import RunHandler
from .handler import Handler

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
"""Every operation but `todo`, which is refused before a run begins."""
