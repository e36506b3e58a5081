"""Partitions and children of tables, which are made beside the models.

They come and go with time, by hand or by a job: no difference is to drop them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData, text
from sqlalchemy.engine import Connection

TableKey = tuple[str, str]
"""Schema and name."""

_CHILDREN = """
SELECT child_schema.nspname, child.relname, child.relispartition,
       parent_schema.nspname, parent.relname
FROM pg_inherits
JOIN pg_class child ON child.oid = inhrelid AND child.relkind IN ('r', 'p', 'f')
JOIN pg_namespace child_schema ON child_schema.oid = child.relnamespace
JOIN pg_class parent ON parent.oid = inhparent
JOIN pg_namespace parent_schema ON parent_schema.oid = parent.relnamespace
"""


def parts_of_tables(
    metadata: MetaData | Sequence[MetaData], connection: Connection
) -> frozenset[TableKey]:
    """Return the tables that are a part of another one, and of no model.

    A partition goes with its table in any case; a table that inherits from another one
    is a part of it where that is, or stands below, one of the models'.
    """
    each = [metadata] if isinstance(metadata, MetaData) else metadata
    default = str(connection.dialect.default_schema_name)
    models = {
        (table.schema or default, str(table.name))
        for item in each
        for table in item.tables.values()
    }
    rows = [tuple(row) for row in connection.execute(text(_CHILDREN))]
    parts = {(row[0], row[1]) for row in rows if row[2]} - models
    known = models | parts
    while (
        below := {(row[0], row[1]) for row in rows if (row[3], row[4]) in known} - known
    ):
        parts |= below
        known |= below
    return frozenset(parts)
