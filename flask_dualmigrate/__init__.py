"""Paired schema migrations for Flask apps on PostgreSQL and MongoDB."""

from __future__ import annotations

from . import api
from .api import *  # noqa: F403
from .errors import (
    BackupError,
    DatabaseUnavailable,
    DualMigrateError,
    IntegrityError,
    LockTimeout,
    OperationError,
    PartialFailure,
    ScriptError,
    TreeError,
    UsageError,
)
from .extension import DualMigrate

__version__ = "0.1.0.dev0"

__all__ = [
    "BackupError",
    "DatabaseUnavailable",
    "DualMigrate",
    "DualMigrateError",
    "IntegrityError",
    "LockTimeout",
    "OperationError",
    "PartialFailure",
    "ScriptError",
    "TreeError",
    "UsageError",
]
__all__ += api.__all__
