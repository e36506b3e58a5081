"""What every part of the translation needs: names, dialect, validators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Dialect

from ..tables.lookup import Tables
from ..tables.state import TableState
from ..tables.types import UNKNOWN, Bson, bson_type
from .naming import Naming


class Untranslatable(ValueError):
    """What MongoDB should get cannot be derived; the message says why."""


@dataclass(frozen=True)
class Context:
    """What the translation depends on.

    validators: "off", "warn" or "error"; models: the app's tables, for the defaults
    that the app itself sets; others: the names of tables that exist besides those in
    the script.
    """

    naming: Naming
    dialect: Dialect
    validators: str = "off"
    models: Tables = field(default_factory=Tables)
    others: frozenset[str] = frozenset()

    def collection(self, table: str) -> str | None:
        """Return the collection of a table; None: it has no Mongo side.

        Raises Untranslatable for a name that MongoDB does not accept.
        """
        name = self.naming.collection(table)
        if name is None:
            return None
        reserved = name.startswith(("system.", "_migrations", "_aside_"))
        if not name or "$" in name or "\0" in name or reserved:
            raise Untranslatable(
                f"Table {table}: MongoDB has no collection named {name!r}; choose a "
                f"name with collections={{{table!r}: …}}"
            )
        return name

    def field(self, table: TableState, column: str) -> str:
        """Return the field of a column.

        Raises Untranslatable for a name that MongoDB does not accept.
        """
        name = self.naming.field(table.name, column, primary_key=table.primary_key)
        place = f"{table.name}.{column}"
        named = self.naming.is_named(table.name, column)
        parts = name.split(".") if named else [name]
        if any(not part or part[0] == "$" or "\0" in part for part in parts) or (
            "." in name and not named
        ):
            raise Untranslatable(
                f"Column {place}: {name!r} is not a valid field name; choose one with "
                f"fields={{{place!r}: …}}"
            )
        if name == "_id" and table.primary_key != (column,):
            raise Untranslatable(
                f"Column {place} is not the primary key, and cannot be the _id"
            )
        return name

    def bson(self, table: TableState, column: str) -> Bson:
        """Return the BSON type of a column's values in a document."""
        state = table.columns.get(column)
        return self.bson_of(state.type_) if state else UNKNOWN

    def bson_of(self, type_: Any) -> Bson:
        return bson_type(type_, self.dialect)
