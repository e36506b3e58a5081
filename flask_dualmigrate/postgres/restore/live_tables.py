"""What a restore reads from the existing tables, and does with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from ..backup.catalog_terms import APPS, not_of_extension
from ..journal.names import PREFIX
from ..server.raw import execute

_TABLES = sa.text(
    "SELECT n.nspname AS schema, c.relname AS name,"
    " pg_catalog.format('%I.%I', n.nspname, c.relname) AS quoted"
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    f" WHERE c.relkind IN ('r', 'p') AND {APPS}"
    f" AND {not_of_extension('c', 'pg_class')} ORDER BY 1, 2"
)
_TYPES = sa.text(
    "SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, u.typname)"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    " JOIN pg_catalog.pg_type u ON u.oid = CASE WHEN t.typcategory = 'A' AND"
    " t.typelem <> 0 THEN t.typelem ELSE t.oid END"
    " JOIN pg_catalog.pg_namespace n ON n.oid = u.typnamespace"
    " WHERE a.attrelid = CAST(:quoted AS regclass) AND a.attnum > 0"
    " AND NOT a.attisdropped AND u.typtype IN ('e', 'd', 'c', 'r')"
    f" AND n.nspname <> 'pg_catalog' AND {not_of_extension('u', 'pg_type')}"
)
_COLUMNS = sa.text(
    "SELECT pg_catalog.format(CASE WHEN t.typnamespace <> 'pg_catalog'::regnamespace"
    " THEN '%1$I::text AS %1$I' ELSE '%1$I' END, a.attname)"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    " WHERE a.attrelid = CAST(:quoted AS regclass) AND a.attnum > 0"
    " AND NOT a.attisdropped ORDER BY a.attnum"
)
_LABELS = sa.text(
    "SELECT enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = to_regtype(:quoted)"
    " ORDER BY enumsortorder"
)
_POPULATED = sa.text(
    "SELECT schemaname, matviewname FROM pg_catalog.pg_matviews WHERE ispopulated"
)
_EXISTS = "42710", "42P07", "42723", "42P06"
_STILL_USED = "2BP01"
_LONGEST_NAME = 63


@dataclasses.dataclass(frozen=True)
class LiveTable:
    """An existing table. quoted: with its schema, as in a statement."""

    schema: str
    name: str
    quoted: str

    @property
    def key(self) -> tuple[str, str]:
        return (self.schema, self.name)


def live_tables(connection: Connection) -> tuple[LiveTable, ...]:
    """Return the existing tables, without those of extensions."""
    return tuple(LiveTable(*row) for row in connection.execute(_TABLES))


def count(connection: Connection, table: LiveTable) -> int:
    query = sa.text(f"SELECT count(*) FROM ONLY {_escaped(table.quoted)}")
    return int(connection.execute(query).scalar_one())


def _escaped(quoted: str) -> str:
    """Escape a name for sa.text(), which takes a colon for a parameter."""
    return quoted.replace("\\", "\\\\").replace(":", "\\:")


def types_of(connection: Connection, tables: Iterable[LiveTable]) -> list[str]:
    """Return the app's own types used by columns of tables, quoted."""
    return sorted(
        {
            str(name)
            for table in tables
            for name in connection.execute(_TYPES, {"quoted": table.quoted}).scalars()
        }
    )


def labels(connection: Connection, quoted: str) -> tuple[str, ...]:
    """Return the labels of an enum type; none if it is not one, or does not exist."""
    return tuple(connection.execute(_LABELS, {"quoted": quoted}).scalars())


def populated(connection: Connection) -> frozenset[tuple[str, str]]:
    """Return schema and name of the materialized views that hold rows."""
    return frozenset((str(s), str(n)) for s, n in connection.execute(_POPULATED))


def keep_rows(
    connection: Connection, table: LiveTable, taken: Collection[tuple[str, str]]
) -> str:
    """Copy the rows of a table to a new one in its schema; return its name.

    The app's own types become text, so that they can be dropped. taken: names in use.
    """
    columns = connection.execute(_COLUMNS, {"quoted": table.quoted}).scalars()
    number, name = 1, ""
    while not name or (table.schema, name) in taken:
        end = "" if number == 1 else f"_{number}"
        room = _LONGEST_NAME - len(f"{PREFIX}aside_{end}")
        short = table.name.encode()[:room].decode(errors="ignore")
        name, number = f"{PREFIX}aside_{short}{end}", number + 1
    quote = connection.dialect.identifier_preparer.quote_identifier
    place = f"{quote(table.schema)}.{quote(name)}"
    sql = f"CREATE TABLE {place} AS SELECT {', '.join(columns)} FROM {table.quoted}"
    execute(connection, sql)
    return name


def try_to(connection: Connection, sql: str, *, unless: Sequence[str]) -> bool:
    """Run a statement; return False if it fails with one of these codes."""
    savepoint = connection.begin_nested()
    try:
        execute(connection, sql)
    except sa.exc.DBAPIError as error:
        savepoint.rollback()
        if getattr(error.orig, "sqlstate", None) in unless:
            return False
        raise
    savepoint.commit()
    return True


def make_unless_there(connection: Connection, sql: str) -> bool:
    return try_to(connection, sql, unless=_EXISTS)


def drop_unless_used(connection: Connection, kind: str, quoted: str) -> bool:
    return try_to(connection, f"DROP {kind} {quoted}", unless=(_STILL_USED,))
