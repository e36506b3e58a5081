"""Partitions and child tables, which are created outside the models.

They are created and dropped over time, by hand or by a job: never propose to drop them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import MetaData, text
from sqlalchemy.engine import Connection

from ..tables.catalog import TableKey

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
    each: Sequence[MetaData], connection: Connection
) -> frozenset[TableKey]:
    """Return the tables that are part of another table and belong to no model.

    A partition always belongs to its table. A table that inherits from another belongs
    to it if that is one of the models' tables, or descends from one.
    """
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
