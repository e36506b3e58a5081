"""Compare a column's type with the existing one by PostgreSQL's name for each.

Alembic compares texts, but the database turns NCHAR(4) into CHARACTER(4), and FLOAT(24)
into REAL. Alembic also ignores collations.
"""

from __future__ import annotations

from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column
from sqlalchemy.engine import Connection
from sqlalchemy.types import ARRAY, TypeEngine

from ..tables.catalog import Catalog
from ..tables.types import plain_type
from .trial_sql import NotTried, try_out

_NAME = """
format_type(attribute.atttypid, attribute.atttypmod) || coalesce(
    (SELECT ' COLLATE ' || collation_.oid::regcollation FROM pg_collation collation_
     JOIN pg_type type ON type.oid = attribute.atttypid
     WHERE collation_.oid = attribute.attcollation
     AND collation_.oid <> type.typcollation), '')
"""
_THERE = f"""
SELECT namespace.nspname, owner.relname, attribute.attname, {_NAME}
FROM pg_attribute attribute
JOIN pg_class owner ON owner.oid = attribute.attrelid
JOIN pg_namespace namespace ON namespace.oid = owner.relnamespace
WHERE owner.relkind IN ('r', 'p', 'f') AND attribute.attnum > 0 AND NOT attisdropped
AND namespace.nspname NOT IN ('pg_catalog', 'information_schema')
"""
_SCRATCH = "dualmigrate_scratch"
_MADE = f"""
SELECT {_NAME} FROM pg_attribute attribute
WHERE attrelid = CAST('pg_temp.{_SCRATCH}' AS regclass) AND attnum = 1
"""


class TypeNames:
    """A callable for Alembic's compare_type: decides whether two types differ.

    not_compared: gets a line if PostgreSQL could not be asked.
    """

    def __init__(self, catalog: Catalog, not_compared: list[str]) -> None:
        self._catalog = catalog
        self._dialect = catalog.dialect
        self._not_compared = not_compared
        self._made: dict[str, str | None] = {}

    def __call__(
        self,
        context: MigrationContext,
        inspected: Column[Any],
        column: Column[Any],
        inspected_type: TypeEngine[Any],
        type_: TypeEngine[Any],
    ) -> bool | None:
        """Return None to let Alembic decide: PostgreSQL has no such type yet."""
        wanted = plain_type(type_, self._dialect)
        if isinstance(inspected_type, ARRAY) != isinstance(wanted, ARRAY):
            return True  # Alembic mistakes VARCHAR[] for VARCHAR
        declared = type_.compile(dialect=self._dialect)
        if declared == inspected_type.compile(dialect=self._dialect):
            return False
        place = (*self._catalog.key(inspected.table), str(inspected.name))
        there = self._catalog.once(_there).get(place)
        if there is None:
            return None
        try:
            made = self._named(declared)
        except NotTried as error:
            name = f"{inspected.table.fullname}.{inspected.name}"
            self._not_compared.append(f"type of column {name} ({error})")
            return None
        return None if made is None else made != there

    def _named(self, declared: str) -> str | None:
        if declared not in self._made:
            statement = f"CREATE TEMP TABLE {_SCRATCH} (it {declared})"
            self._made[declared] = try_out(
                self._catalog.connection, None, [statement], _MADE
            )
        return self._made[declared]


def _there(connection: Connection) -> dict[tuple[str, str, str], str]:
    found = connection.exec_driver_sql(_THERE)
    return {(schema, table, name): type_ for schema, table, name, type_ in found}
