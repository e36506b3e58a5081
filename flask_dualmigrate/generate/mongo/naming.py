"""The names of tables and columns in MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

CollectionNames = Mapping[str, str | None] | Callable[[str], str | None] | None
FieldNames = Mapping[str, str] | Callable[[str], str] | None


@dataclass(frozen=True)
class Naming:
    """The names of collections and fields, as given to `DualMigrate`.

    collections: table -> collection, None if a table has no Mongo side; a table in a
    schema is "schema.table". fields: "table.column" -> field. A name that a mapping
    omits, or a field for which a callable returns None, is kept unchanged.
    """

    collections: CollectionNames = None
    fields: FieldNames = field(default=None)

    def collection(self, table: str) -> str | None:
        """Return the collection of a table; None: it has no Mongo side."""
        if self.collections is None:
            return table
        if callable(self.collections):
            return self.collections(table)
        return self.collections.get(table, table)

    def field(
        self, table: str, column: str, *, primary_key: tuple[str, ...] = ()
    ) -> str:
        """Return the field of a column.

        primary_key: the columns of the table's primary key; if `id` is the only one,
        its field is `_id`.
        """
        named = self._named(f"{table}.{column}")
        if named is not None:
            return named
        return "_id" if column == "id" and primary_key == ("id",) else column

    def is_named(self, table: str, column: str) -> bool:
        """Return True if the app itself named the field: a dot in it is intended."""
        return self._named(f"{table}.{column}") not in (None, column)

    def _named(self, place: str) -> str | None:
        if self.fields is None:
            return None
        if callable(self.fields):
            return self.fields(place)
        return self.fields.get(place)
