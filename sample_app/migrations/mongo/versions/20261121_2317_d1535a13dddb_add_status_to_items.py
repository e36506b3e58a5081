"""add status to items

Revision ID: d1535a13dddb
Revises: 9192f57f79a9
Create Date: 2026-11-21 23:17:22+00:00
"""

revision = "d1535a13dddb"
down_revision = "9192f57f79a9"
branch_labels = None
depends_on = None


def upgrade(op):
    op.add_field("item", "status", default="available")


def downgrade(op):
    op.drop_field("item", "status")


def verify(db):
    assert db.item.count_documents({"status": {"$exists": False}}) == 0
