"""keep prices as decimals

Revision ID: 928654ad616b
Revises: e78bd08bd3f5
Create Date: 2026-11-21 23:19:05+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "928654ad616b"
down_revision = "e78bd08bd3f5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # dualmigrate: allow DM105, DM115 a few thousand prices, all with two digits
    op.alter_column(
        "items",
        "price",
        existing_type=sa.VARCHAR(length=20),
        type_=sa.Numeric(precision=12, scale=2),
        existing_nullable=True,
        postgresql_using="price::NUMERIC(12, 2)",
    )


def downgrade() -> None:
    op.alter_column(
        "items",
        "price",
        existing_type=sa.Numeric(precision=12, scale=2),
        type_=sa.VARCHAR(length=20),
        existing_nullable=True,
    )
