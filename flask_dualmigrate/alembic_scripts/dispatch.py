"""Alembic's operations by their classes: a package may have made subclasses of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Found = TypeVar("Found")


def by_class(table: Mapping[type[Any], Found], operation: Any) -> Found | None:
    """Return what stands for an operation's class, or for the nearest one above it."""
    for kind in type(operation).__mro__:
        if kind in table:
            return table[kind]
    return None
