"""Paired schema migrations for Flask apps on PostgreSQL and MongoDB.

The names are imported when they are first used: an app that only registers DualMigrate
starts without what its commands need.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
if TYPE_CHECKING:
    __all__ += api.__all__
else:
    _CLASSES = globals().pop("__all__")  # __getattr__ adds the functions, as in `api`

    def __getattr__(name: str) -> Any:
        if name in _CLASSES:
            module = "extension" if name == "DualMigrate" else "errors"
            return getattr(_module(module), name)
        if name == "__all__":
            return [*_CLASSES, *_module("api").__all__]
        # A module that is not imported yet is asked for here first.
        is_function = not name.startswith("_") and not find_spec(f"{__name__}.{name}")
        if is_function and name in _module("api").__all__:
            return getattr(_module("api"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def _module(name: str) -> Any:
        return import_module(f".{name}", __name__)
