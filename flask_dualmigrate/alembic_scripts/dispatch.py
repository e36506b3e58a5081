"""Look up Alembic's operations by class; a package may have subclassed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Found = TypeVar("Found")


def by_class(table: Mapping[type[Any], Found], operation: Any) -> Found | None:
    """Return the entry for an operation's class, or for its nearest base class."""
    for kind in type(operation).__mro__:
        if kind in table:
            return table[kind]
    return None
