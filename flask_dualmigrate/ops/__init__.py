"""The language of a Mongo script: frozen operations, and the `op` that records them."""

from __future__ import annotations

from .base import MISSING, NOW, Kind, Missing, Now, Operation
from .collections import (
    CreateCollection,
    DropCollection,
    RenameCollection,
    SetValidator,
)
from .documents import Delete, Insert, Transform, Update
from .fields import (
    BATCH_SIZE,
    AddField,
    ConvertField,
    CopyField,
    DropField,
    RenameField,
)
from .indexes import CreateIndex, DropIndex
from .recorder import MongoOperations
from .run import Run, Todo

__all__ = [
    "BATCH_SIZE",
    "MISSING",
    "NOW",
    "AddField",
    "ConvertField",
    "CopyField",
    "CreateCollection",
    "CreateIndex",
    "Delete",
    "DropCollection",
    "DropField",
    "DropIndex",
    "Insert",
    "Kind",
    "Missing",
    "MongoOperations",
    "Now",
    "Operation",
    "RenameCollection",
    "RenameField",
    "Run",
    "SetValidator",
    "Todo",
    "Transform",
    "Update",
]
