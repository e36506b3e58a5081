"""add attributes to items

Revision ID: be54802e9dd1
Revises: a991cde9ffe1
Create Date: 2026-11-21 23:22:55+00:00
"""

revision = "be54802e9dd1"
down_revision = "a991cde9ffe1"
branch_labels = None
depends_on = None


def upgrade(op):
    op.add_field("item", "attributes", default={})


def downgrade(op):
    op.drop_field("item", "attributes")
