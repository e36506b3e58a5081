"""index items, logs and users

Revision ID: be6dc88f8a0e
Revises: 928654ad616b
Create Date: 2026-11-21 23:20:28+00:00
"""

revision = "be6dc88f8a0e"
down_revision = "928654ad616b"
branch_labels = None
depends_on = None

# dualmigrate: allow DM201 the app has never written such a number or address twice


def upgrade(op):
    # A unique column of PostgreSQL takes many nulls. A unique index of MongoDB takes
    # one, so those of serial_number and email cover the texts only.
    op.create_index(
        "item",
        [("location_id", 1)],
        name="ix_items_available",
        partialFilterExpression={"status": "available"},
    )
    op.create_index("item", [("created_at", -1), ("_id", -1)], name="ix_items_newest")
    op.create_index("item", [("type_id", 1)], name="ix_items_type_id")
    op.create_index(
        "item",
        [("serial_number", 1)],
        name="uq_items_serial_number",
        unique=True,
        partialFilterExpression={"serial_number": {"$type": "string"}},
    )
    op.create_index(
        "activity_logs",
        [("item_id", 1), ("created_at", -1)],
        name="ix_logs_item_id_timestamp",
    )
    op.create_index(
        "user",
        [("email", 1)],
        name="ix_users_email",
        unique=True,
        partialFilterExpression={"email": {"$type": "string"}},
    )


def downgrade(op):
    op.drop_index("user", "ix_users_email")
    op.drop_index("activity_logs", "ix_logs_item_id_timestamp")
    op.drop_index("item", "uq_items_serial_number")
    op.drop_index("item", "ix_items_type_id")
    op.drop_index("item", "ix_items_newest")
    op.drop_index("item", "ix_items_available")
