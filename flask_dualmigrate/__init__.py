"""Paired schema migrations for Flask apps on PostgreSQL and MongoDB."""

from __future__ import annotations

from .api import (
    asides,
    branches,
    check,
    current,
    downgrade,
    edit,
    heads,
    history,
    init,
    merge,
    migrate,
    repair,
    revision,
    show,
    stamp,
    status,
    upgrade,
)
from .errors import (
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
    "asides",
    "branches",
    "check",
    "current",
    "downgrade",
    "edit",
    "heads",
    "history",
    "init",
    "merge",
    "migrate",
    "repair",
    "revision",
    "show",
    "stamp",
    "status",
    "upgrade",
]
