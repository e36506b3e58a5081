"""Counting rows, and the nulls of columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from ..backend import FieldFacts
from ..survey import Counts
from .journal import PREFIX


def count_rows(
    connection: sa.Connection,
    schemas: Collection[str | None],
    *,
    only: Collection[str] | None,
    ours: Collection[str],
) -> Counts:
    """Count the rows of the app's tables, exactly.

    schemas: where to look; None is the default one. only: names as the metadata has
    them, "schema.table" or "table"; None: all. ours: tables that are not the app's.
    """
    inspector = sa.inspect(connection)
    found = {}
    for schema in sorted(schemas, key=str):
        for name in sorted(inspector.get_table_names(schema)):
            full = name if schema is None else f"{schema}.{name}"
            is_ours = name in ours or name.startswith(PREFIX)
            if is_ours or (only is not None and full not in only):
                continue
            table = sa.table(name, schema=schema)
            query = sa.select(sa.func.count()).select_from(table)
            found[full] = int(connection.execute(query).scalar_one())
    return found


def column_facts(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str]
) -> dict[str, FieldFacts]:
    """Count the nulls of columns in one pass; those that are not there are left out."""
    there = {
        c["name"]
        for c in sa.inspect(connection).get_columns(table.name, schema=table.schema)
    }
    wanted = [name for name in columns if name in there]
    counts = [sa.func.count(table.c[name]) for name in wanted]
    query = sa.select(sa.func.count(), *counts).select_from(table)
    total, *filled = connection.execute(query).one()
    return {
        name: FieldFacts(int(total) - int(count), int(total))
        for name, count in zip(wanted, filled, strict=True)
    }
