"""Tables by name, as in the database or in the models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.engine import Dialect


@dataclass(frozen=True)
class Tables:
    """Some tables, found by schema and name; default: the schema that is implied."""

    by_name: Mapping[tuple[str | None, str], Table] = field(default_factory=dict)
    default: str | None = None

    @classmethod
    def of(cls, tables: Iterable[Table], dialect: Dialect) -> Tables:
        default = dialect.default_schema_name
        named = {
            (None if table.schema == default else table.schema, str(table.name)): table
            for table in tables
        }
        return cls(named, default)

    def table(self, schema: str | None, name: str) -> Table | None:
        return self.by_name.get((None if schema == self.default else schema, name))

    def column(self, schema: str | None, table: str, name: str) -> Column[Any] | None:
        found = self.table(schema, table)
        if found is None:
            return None
        return next((column for column in found.columns if column.name == name), None)
