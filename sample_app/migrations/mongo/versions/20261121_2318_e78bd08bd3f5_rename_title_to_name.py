"""rename title to name

Revision ID: e78bd08bd3f5
Revises: d1535a13dddb
Create Date: 2026-11-21 23:18:08+00:00
"""

revision = "e78bd08bd3f5"
down_revision = "d1535a13dddb"
branch_labels = None
depends_on = None


def upgrade(op):
    op.rename_field("item", "title", "name")


def downgrade(op):
    op.rename_field("item", "name", "title")
