"""add search text to items

Revision ID: 12fe71742632
Revises: be54802e9dd1
Create Date: 2026-11-21 23:23:01+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "12fe71742632"
down_revision = "be54802e9dd1"
branch_labels = None
depends_on = None


items = sa.table(
    "items",
    sa.column("id", sa.String),
    sa.column("name", sa.String),
    sa.column("description", sa.Text),
    sa.column("serial_number", sa.String),
    sa.column("search_text", sa.Text),
)


# dualmigrate: allow DM004 it reads the items, and computes a text for each
def upgrade() -> None:
    op.add_column(
        "items", sa.Column("search_text", sa.Text(), server_default="", nullable=False)
    )
    # Computed by Python, as on the other side and in the app: what lower() makes of a
    # text depends on the locale.
    connection = op.get_bind()
    query = sa.select(
        items.c.id, items.c.name, items.c.description, items.c.serial_number
    )
    statement = (
        sa.update(items)
        .where(items.c.id == sa.bindparam("item_id"))
        .values(search_text=sa.bindparam("text"))
    )
    found = connection.execute(query, execution_options={"yield_per": 1000})
    for rows in found.partitions():
        connection.execute(
            statement, [{"item_id": row.id, "text": search_text(row)} for row in rows]
        )


def downgrade() -> None:
    op.drop_column("items", "search_text")


def verify(connection: sa.Connection) -> None:
    empty = sa.select(sa.func.count()).where(items.c.search_text == "")
    assert connection.scalar(empty) == 0


def search_text(item: sa.Row) -> str:
    text = f"{item.name} {item.description} {item.serial_number or ''}"
    return " ".join(text.casefold().split())
