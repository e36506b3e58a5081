"""index items, logs and users

Revision ID: be6dc88f8a0e
Revises: 928654ad616b
Create Date: 2026-11-21 23:20:28+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "be6dc88f8a0e"
down_revision = "928654ad616b"
branch_labels = None
depends_on = None

# dualmigrate: allow DM101, DM109 the tables have a few thousand rows


def upgrade() -> None:
    op.create_index(
        "ix_items_available",
        "items",
        ["location_id"],
        unique=False,
        postgresql_where=sa.text("status = 'available'"),
    )
    op.create_index(
        "ix_items_newest",
        "items",
        [sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(op.f("ix_items_type_id"), "items", ["type_id"], unique=False)
    op.create_unique_constraint(
        op.f("uq_items_serial_number"), "items", ["serial_number"]
    )
    op.create_index(
        "ix_logs_item_id_timestamp",
        "logs",
        ["item_id", sa.literal_column("timestamp DESC")],
        unique=False,
    )
    op.create_index(op.f("ix_users_email"), "users", ["email"], unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_users_email"), table_name="users")
    op.drop_index("ix_logs_item_id_timestamp", table_name="logs")
    op.drop_constraint(op.f("uq_items_serial_number"), "items", type_="unique")
    op.drop_index(op.f("ix_items_type_id"), table_name="items")
    op.drop_index("ix_items_newest", table_name="items")
    op.drop_index(
        "ix_items_available",
        table_name="items",
        postgresql_where=sa.text("status = 'available'"),
    )
