"""Counting rows, and the nulls in columns."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from ..backend import FieldFacts
from ..backend.data import Counts
from .journal.names import PREFIX


def count_rows(
    connection: sa.Connection,
    schemas: Collection[str | None],
    names: Collection[str] | None,
    *,
    limit: int,
    ours: Collection[str],
) -> Counts:
    """Count the rows of the app's tables one by one.

    schemas: where to look; None is the default one. names: these tables; None: all.
    limit: stop there; 0: nowhere. ours: tables that are not the app's. Returns names as
    in the metadata, "schema.table" or "table".
    """
    inspector = sa.inspect(connection)
    found = {}
    for schema in sorted(schemas, key=str):
        for name in sorted(_names_in(inspector, schema, names)):
            if name in ours or name.startswith(PREFIX):
                continue
            table: sa.FromClause = sa.table(name, schema=schema)
            if limit:
                some = sa.select(sa.literal(1)).select_from(table).limit(limit)
                table = some.subquery()
            query = sa.select(sa.func.count()).select_from(table)
            full = name if schema is None else f"{schema}.{name}"
            found[full] = int(connection.execute(query).scalar_one())
    return found


def _names_in(
    inspector: sa.Inspector, schema: str | None, names: Collection[str] | None
) -> Collection[str]:
    """Return the tables of a schema, or what is named in it, even a view."""
    if names is None:
        return inspector.get_table_names(schema)
    prefix = f"{schema or inspector.default_schema_name}."
    named = {
        name.removeprefix(prefix)
        for name in names
        if schema is None or name.startswith(prefix)
    }
    return [name for name in named if inspector.has_table(name, schema=schema)]


def column_values(
    connection: sa.Connection,
    table: sa.Table,
    key: str,
    columns: Sequence[str],
    *,
    limit: int,
) -> list[dict[str, Any]]:
    """Return columns of some rows, half of them from each end of the key.

    They are read without the types of the models, which may be of a later revision.
    """
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name, schema=table.schema):
        return []
    found = inspector.get_columns(table.name, schema=table.schema)
    there = {column["name"] for column in found}
    if key not in there:
        return []
    wanted = sorted({*columns} & there)
    try:
        return _rows(connection, table, key, wanted, limit)
    except Exception:  # the driver has no such value: a date in the year 10000
        return _rows_by_column(connection, table, key, wanted, limit)


def _rows_by_column(
    connection: sa.Connection,
    table: sa.Table,
    key: str,
    columns: Sequence[str],
    limit: int,
) -> list[dict[str, Any]]:
    """Read column by column, leaving out those that cannot be read."""
    found: dict[Any, dict[str, Any]] = {}
    for column in columns:
        with contextlib.suppress(Exception):
            for row in _rows(connection, table, key, [column], limit):
                found.setdefault(row[key], {}).update(row)
    return [*found.values()]


def _rows(
    connection: sa.Connection,
    table: sa.Table,
    key: str,
    columns: Sequence[str],
    limit: int,
) -> list[dict[str, Any]]:
    names = dict.fromkeys([key, *columns])
    bare = sa.table(table.name, *map(sa.column, names), schema=table.schema)
    query = sa.select(bare)
    rows: dict[Any, dict[str, Any]] = {}
    for order in (bare.c[key].asc(), bare.c[key].desc()):
        for row in connection.execute(query.order_by(order).limit(limit // 2)):
            rows[row._mapping[key]] = dict(row._mapping)
    return [*rows.values()]


def column_facts(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str]
) -> dict[str, FieldFacts]:
    """Count the nulls of columns in one pass, leaving out missing columns."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name, schema=table.schema):
        return {}
    found = inspector.get_columns(table.name, schema=table.schema)
    there = {column["name"] for column in found}
    wanted = [name for name in columns if name in there]
    counts = [sa.func.count(table.c[name]) for name in wanted]
    query = sa.select(sa.func.count(), *counts).select_from(table)
    total, *filled = connection.execute(query).one()
    return {
        name: FieldFacts(int(total) - int(count), int(total))
        for name, count in zip(wanted, filled, strict=True)
    }
