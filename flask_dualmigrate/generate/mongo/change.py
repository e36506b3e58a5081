"""One operation, and the tables before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..tables.state import Schema, TableState
from .context import Context


@dataclass(frozen=True)
class Change:
    """op: Alembic's. old, new: its table before and after; empty if there is none.

    after: all tables after it.
    """

    op: Any
    old: TableState
    new: TableState
    after: Schema
    context: Context

    @property
    def collection(self) -> str:
        """The table's collection, under its name after the operation."""
        name = self.context.collection(self.new.name or self.old.name)
        assert name is not None
        return name
