"""The two sides of a comparison: the app's models, and the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.engine import Dialect

from .catalog import Catalog


@dataclass(frozen=True)
class Sides:
    """What is compared with what.

    include: asks the app's include_object about part of a model, with its kind.
    not_compared: gets a line for each thing that the comparison leaves out.
    """

    metadata: Sequence[MetaData]
    catalog: Catalog
    include: Callable[[Any, str], bool]
    not_compared: list[str] = field(default_factory=list)

    @property
    def dialect(self) -> Dialect:
        return self.catalog.dialect

    def tables(self) -> Iterator[Table]:
        """Yield the models' tables that are compared."""
        for metadata in self.metadata:
            for table in metadata.tables.values():
                if self.include(table, "table"):
                    yield table
