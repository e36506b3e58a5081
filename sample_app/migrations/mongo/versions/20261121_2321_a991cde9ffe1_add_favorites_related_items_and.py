"""add favorites, related items and movements

Revision ID: a991cde9ffe1
Revises: be6dc88f8a0e
Create Date: 2026-11-21 23:21:28+00:00
"""

revision = "a991cde9ffe1"
down_revision = "be6dc88f8a0e"
branch_labels = None
depends_on = None


def upgrade(op):
    # What PostgreSQL has foreign keys, cascades and a check for is up to the app here:
    # it looks up what it refers to, and deletes these documents with their item.
    op.create_collection("favorites")
    op.create_index(
        "favorites", [("user_id", 1), ("item_id", 1)], name="pk_favorites", unique=True
    )
    op.create_index("favorites", [("item_id", 1)], name="ix_favorites_item_id")
    op.create_collection("movements")
    op.create_index(
        "movements",
        [("item_id", 1), ("moved_at", -1)],
        name="ix_movements_item_id_moved_at",
    )
    op.create_collection("related_items")
    op.create_index(
        "related_items",
        [("item_id", 1), ("related_id", 1)],
        name="pk_related_items",
        unique=True,
    )
    op.create_index(
        "related_items", [("related_id", 1)], name="ix_related_items_related_id"
    )


def downgrade(op):
    op.drop_collection("favorites")
    op.drop_collection("movements")
    op.drop_collection("related_items")
