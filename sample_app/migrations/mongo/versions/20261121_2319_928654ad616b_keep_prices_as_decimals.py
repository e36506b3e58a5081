"""keep prices as decimals

Revision ID: 928654ad616b
Revises: e78bd08bd3f5
Create Date: 2026-11-21 23:19:05+00:00
"""

revision = "928654ad616b"
down_revision = "e78bd08bd3f5"
branch_labels = None
depends_on = None


def upgrade(op):
    # dualmigrate-test: allow edge-data a price was written as a number, always
    # So far prices were texts with two decimal places, which a Decimal128 keeps:
    # what comes back from both databases prints alike.
    op.convert_field("item", "price", to="decimal")


def downgrade(op):
    op.convert_field("item", "price", to="string")


def verify(db):
    assert db.item.count_documents({"price": {"$type": "string"}}) == 0
