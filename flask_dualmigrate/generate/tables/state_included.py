"""Filter two states to be compared with the app's include_object and include_name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Column, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.engine import Dialect

from .state import Schema, TableState, constraint_index, full_name, index_state

_Part = tuple[str, str, Any]
"""A part's name in its state, its kind in Alembic's terms, and the part."""


class Included:
    """Asks the app's hooks as Alembic does: about the models' parts, then the rest.

    options: those of Alembic's configure().
    """

    def __init__(
        self, options: Mapping[str, Any], metadata: MetaData, dialect: Dialect
    ) -> None:
        self._object = options.get("include_object")
        self._name = options.get("include_name")
        self._out: set[tuple[str, ...]] = set()
        for table in metadata.tables.values() if self._object is not None else ():
            name = full_name(table.name, table.schema, dialect)
            self._ask(table, (name,), "table")
            for part, kind, item in _parts(table, dialect):
                self._ask(item, (name, part), kind)

    def of_models(self, models: Schema) -> Schema:
        """Return the models' tables without the parts that the hooks exclude."""
        return {
            name: replace(
                table,
                columns=self._left(name, table.columns),
                indexes=self._left(name, table.indexes),
            )
            for name, table in models.items()
            if (name,) not in self._out
        }

    def of_scripts(self, made: Schema, models: Schema) -> Schema:
        """Return what scripts create, filtered too; the models may lack parts of it."""
        for name, table in made.items():
            if self._object is not None or self._name is not None:
                self._ask_for_rest(table, models.get(name))
        return self.of_models(made)

    def _left(self, table: str, parts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: part for name, part in parts.items() if (table, name) not in self._out
        }

    def _ask_for_rest(self, made: TableState, model: TableState | None) -> None:
        schema, _, name = made.name.rpartition(".")
        columns = {each: Column(each, at.type_) for each, at in made.columns.items()}
        table = Table(name, MetaData(), *columns.values(), schema=schema or None)
        if model is None:
            parents = {"schema_name": schema or None, "table_name": name}
            if self._name is not None and not self._name(name, "table", parents):
                self._out.add((made.name,))
            self._ask(table, (made.name,), "table", reflected=True)
            return
        for key in made.columns.keys() - model.columns.keys():
            self._ask(table.c[key], (made.name, key), "column", reflected=True)
        for key in made.indexes.keys() - model.indexes.keys():
            on = [
                table.c[each] for each in made.indexes[key].columns if each in columns
            ]
            index = Index(key, *on)
            self._ask(index, (made.name, key), "index", reflected=True)

    def _ask(
        self, item: Any, key: tuple[str, ...], kind: str, *, reflected: bool = False
    ) -> None:
        if self._object is None:
            return
        if not self._object(item, item.name, kind, reflected, None):
            self._out.add(key)


def _parts(table: Table, dialect: Dialect) -> Iterator[_Part]:
    for column in table.columns:
        yield column.name, "column", column
    for index in table.indexes:
        yield index_state(index, dialect).name, "index", index
    for item in table.constraints:
        if isinstance(item, UniqueConstraint):
            name = constraint_index(item, table, dialect).name
            yield name, "unique_constraint", item
