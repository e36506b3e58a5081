"""add favorites, related items and movements

Revision ID: a991cde9ffe1
Revises: be6dc88f8a0e
Create Date: 2026-11-21 23:21:28+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "a991cde9ffe1"
down_revision = "be6dc88f8a0e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "favorites",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["items.id"],
            name=op.f("fk_favorites_item_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_favorites_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "item_id", name=op.f("pk_favorites")),
    )
    op.create_index(
        op.f("ix_favorites_item_id"), "favorites", ["item_id"], unique=False
    )
    op.create_table(
        "movements",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("from_location_id", sa.String(length=32), nullable=True),
        sa.Column("to_location_id", sa.String(length=32), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["from_location_id"],
            ["locations.id"],
            name=op.f("fk_movements_from_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["items.id"],
            name=op.f("fk_movements_item_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["to_location_id"],
            ["locations.id"],
            name=op.f("fk_movements_to_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_movements_user_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movements")),
    )
    op.create_index(
        "ix_movements_item_id_moved_at",
        "movements",
        ["item_id", sa.literal_column("moved_at DESC")],
        unique=False,
    )
    op.create_table(
        "related_items",
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("related_id", sa.String(length=32), nullable=False),
        sa.CheckConstraint(
            "item_id < related_id", name=op.f("ck_related_items_ordered")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["items.id"],
            name=op.f("fk_related_items_item_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["related_id"],
            ["items.id"],
            name=op.f("fk_related_items_related_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("item_id", "related_id", name=op.f("pk_related_items")),
    )
    op.create_index(
        op.f("ix_related_items_related_id"),
        "related_items",
        ["related_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_favorites_item_id"), table_name="favorites")
    op.drop_table("favorites")
    op.drop_index("ix_movements_item_id_moved_at", table_name="movements")
    op.drop_table("movements")
    op.drop_index(op.f("ix_related_items_related_id"), table_name="related_items")
    op.drop_table("related_items")
