"""Counting how much of a table a script would remove."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ...backend import Loss
from .destructive import Destructive

LIMIT_MS = 10_000
"""The seconds one count may take; after that the server's own estimate is used."""


Estimate = Callable[[sa.Connection, str, str | None], int | None]


def loss_of(connection: sa.Connection, call: Destructive, estimate: Estimate) -> Loss:
    """Count what is there now, which an earlier step of the plan may change.

    estimate: called with a table and its schema if its rows cannot be counted.
    """
    if call.table is None:
        return Loss(call.text)
    inspector = sa.inspect(connection)
    if not inspector.has_table(call.table, schema=call.schema):
        return Loss(call.text)
    columns = {c["name"] for c in inspector.get_columns(call.table, schema=call.schema)}
    if call.column is not None and call.column not in columns:
        return Loss(call.text)
    unit = "rows" if call.column is None else "values"
    return _counted(connection, call, unit, estimate)


def _counted(
    connection: sa.Connection, call: Destructive, unit: str, estimate: Estimate
) -> Loss:
    table = sa.table(str(call.table), schema=call.schema)
    query = sa.select(sa.func.count()).select_from(table)
    if call.column is not None:
        query = query.where(sa.column(call.column).is_not(None))
    try:
        with connection.begin_nested():
            return Loss(call.text, int(connection.execute(query).scalar_one()), unit)
    except DBAPIError:  # over the time limit, or locked, or a privilege is missing
        rows = estimate(connection, str(call.table), call.schema)
        return Loss(call.text, rows, unit, exact=False)


def estimated_rows(
    connection: sa.Connection, table: str, schema: str | None
) -> int | None:
    """Return how many rows PostgreSQL estimates there are; None if it does not say."""
    preparer = connection.dialect.identifier_preparer
    name = preparer.quote(table)
    if schema is not None:
        name = f"{preparer.quote_schema(schema)}.{name}"
    query = sa.text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)")
    found = connection.execute(query, {"name": name}).scalar()
    return None if found is None or found < 0 else int(found)
