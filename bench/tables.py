"""The models whose changes are generated; imported by processes of their own."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, MetaData, Table
from sqlalchemy.dialects import postgresql


def models(count: int, *, changed: Collection[int] = ()) -> MetaData:
    """Return tables; those of the given numbers have two columns and an index more."""
    metadata = MetaData()
    for number in range(count):
        table = Table(
            f"table_{number}",
            metadata,
            Column("id", sa.Integer, primary_key=True),
            Column("name", sa.String(80), nullable=False, index=True),
            Column("email", sa.String(200), unique=True),
            Column("kind", sa.Enum("a", "b", name=f"kind_{number}")),
            Column("price", sa.Numeric(10, 2), server_default="0"),
            Column("detail", postgresql.JSONB),
            Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        )
        if number:
            other = ForeignKey(f"table_{number - 1}.id")
            table.append_column(Column("other_id", other, index=True))
        if number in changed:
            table.append_column(Column("status", sa.String(20), server_default="new"))
            table.append_column(Column("count", sa.Integer, nullable=True))
            Index(f"ix_{table.name}_status", table.c.status, table.c.made_at)
    return metadata
