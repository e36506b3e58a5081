"""Reading the version table and the journal of PostgreSQL in one round trip.

A SELECT from a table that is not there fails, so the statement is put together on the
server, from the tables that it finds. It changes nothing, and needs no transaction.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ..server.raw import execute_all
from ..server.values import in_sql


@dataclasses.dataclass(frozen=True)
class Found:
    """What the tables hold; None for a table that is not there.

    heads: the rows of the version table; attempts, meta: the rows of the journal's
    tables. is_replica: the server accepts no writes.
    """

    is_replica: bool
    heads: tuple[str, ...] | None
    attempts: list[dict[str, Any]] | None
    meta: dict[str, str] | None


_LOOK = """\
DO $dualmigrate$
DECLARE
  parts text := 'SELECT json_build_object(''replica'', pg_is_in_recovery()';
  found text;
BEGIN
{parts}
  EXECUTE parts || ')' INTO found;
  PERFORM set_config('dualmigrate.found', found, true);
END $dualmigrate$"""

_PART = """\
  IF to_regclass({name}) IS NOT NULL THEN
    parts := parts || {part};
  END IF;"""

_TIMES = ("started_at", "finished_at")


def look(
    connection: Connection, versions: str, attempts: sa.Table, meta: sa.Table
) -> Found:
    """Read all at once. connection: in autocommit. versions: that table, as SQL."""
    names = connection.dialect.identifier_preparer
    tables = (
        ("heads", "json_agg(t.version_num)", versions),
        ("attempts", "json_agg(t ORDER BY t.id)", names.format_table(attempts)),
        ("meta", "json_object_agg(t.key, t.value)", names.format_table(meta)),
    )
    parts = "\n".join(
        _PART.format(
            name=in_sql(table),
            part=in_sql(f", '{key}', (SELECT json_build_array({rows}) FROM {table} t)"),
        )
        for key, rows, table in tables
    )
    statements = (
        _LOOK.format(parts=parts),
        "SELECT current_setting('dualmigrate.found')",
    )
    (said,) = execute_all(connection, statements)
    return _found(json.loads(said))


def _found(said: dict[str, Any]) -> Found:
    heads, attempts, meta = (said.get(key) for key in ("heads", "attempts", "meta"))
    return Found(
        is_replica=said["replica"],
        # A row that someone set to NULL names no revision.
        heads=None if heads is None else tuple(head or "" for head in heads[0] or ()),
        attempts=None if attempts is None else [_row(row) for row in attempts[0] or ()],
        meta=None if meta is None else meta[0] or {},
    )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its times as times."""
    times = {name: row[name] for name in _TIMES if row[name] is not None}
    return row | {name: datetime.fromisoformat(time) for name, time in times.items()}
