"""add attributes to items

Revision ID: be54802e9dd1
Revises: a991cde9ffe1
Create Date: 2026-11-21 23:22:55+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "be54802e9dd1"
down_revision = "a991cde9ffe1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "items",
        sa.Column(
            "attributes",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("items", "attributes")
