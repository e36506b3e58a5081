"""A glance at the version table and the journal: the heads, if all is settled.

It is taken at each start of an app: it imports no Alembic, and asks in one statement.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..server.errors import connection_lost
from ..server.pooled_questions import ask
from .names import JOURNAL, META

_SETTLED = ("applied", "failed", "rolled_back")
_DIRECTIONS = ("upgrade", "downgrade")
_VERSION, _ABOUT, _OPEN = "version", "about", "open"
"""The kinds of rows: of the version table, about the database, of open attempts."""


def heads_and_pair(
    engine: Engine, *, version_table: str, schema: str | None
) -> tuple[set[str], set[str]] | None:
    """Return the rows of the version table, and the pair's id, if there is one.

    None if a table is missing, or an attempt is not settled: then the tables have to be
    read as a whole.
    """
    query = _query(version_table, schema)

    def rows_of(connection: Connection) -> list[Any] | None:
        try:
            return [*connection.execute(query)]
        except DBAPIError as error:
            if connection_lost(error):
                raise
            return None

    rows = ask(engine, "read its journal", rows_of, apart=True)
    if rows is None or any(kind == _OPEN for kind, _, _ in rows):
        return None
    return (
        {name for kind, name, _ in rows if kind == _VERSION},
        {text for kind, name, text in rows if (kind, name) == (_ABOUT, "pair_id")},
    )


def _query(version_table: str, schema: str | None) -> sa.CompoundSelect[Any]:
    version = sa.table(version_table, sa.column("version_num"), schema=schema)
    meta = sa.table(META, sa.column("key"), sa.column("value"), schema=schema)
    names = ("revision", "status", "direction")
    journal = sa.table(JOURNAL, *map(sa.column, names), schema=schema)
    is_settled = journal.c.status.in_(_SETTLED) & journal.c.direction.in_(_DIRECTIONS)
    rows = (
        (_ABOUT, meta.c.key, meta.c.value, meta, sa.true()),
        (_VERSION, version.c.version_num, sa.null(), version, sa.true()),
        (_OPEN, journal.c.revision, journal.c.status, journal, sa.not_(is_settled)),
    )
    selects = (
        sa.select(sa.literal_column(f"'{kind}'"), name, text)
        .select_from(table)
        .where(where)
        for kind, name, text, table, where in rows
    )
    return sa.union_all(*selects)
