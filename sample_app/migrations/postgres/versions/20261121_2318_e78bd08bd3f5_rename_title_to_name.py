"""rename title to name

Revision ID: e78bd08bd3f5
Revises: d1535a13dddb
Create Date: 2026-11-21 23:18:08+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "e78bd08bd3f5"
down_revision = "d1535a13dddb"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # dualmigrate: allow DM110 one process serves the app, and stops for the upgrade
    op.alter_column(
        "items",
        "title",
        new_column_name="name",
        existing_type=sa.String(length=120),
        existing_nullable=False,
    )


def downgrade() -> None:
    op.alter_column(
        "items",
        "name",
        new_column_name="title",
        existing_type=sa.String(length=120),
        existing_nullable=False,
    )
