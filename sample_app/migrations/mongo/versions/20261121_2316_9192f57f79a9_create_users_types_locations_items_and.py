"""create users, types, locations, items and logs

Revision ID: 9192f57f79a9
Revises:
Create Date: 2026-11-21 23:16:41+00:00
"""

revision = "9192f57f79a9"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(op):
    op.create_collection("type")
    op.create_index("type", [("name", 1)], name="uq_item_types_name", unique=True)
    op.create_collection("location")
    op.create_index(
        "location",
        [("floor", 1), ("room", 1), ("zone", 1)],
        name="uq_locations_place",
        unique=True,
    )
    op.create_collection("activity_logs")
    op.create_collection("user")
    op.create_collection("item")
    # Foreign key items.location_id -> locations.id: MongoDB has none.
    # Foreign key items.type_id -> item_types.id: MongoDB has none.


def downgrade(op):
    op.drop_collection("item")
    op.drop_collection("type")
    op.drop_collection("location")
    op.drop_collection("activity_logs")
    op.drop_collection("user")
