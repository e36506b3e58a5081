"""add status to items

Revision ID: d1535a13dddb
Revises: 9192f57f79a9
Create Date: 2026-11-21 23:17:22+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "d1535a13dddb"
down_revision = "9192f57f79a9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "items",
        sa.Column(
            "status",
            sa.Enum(
                "available",
                "in_use",
                "maintenance",
                "lost",
                "retired",
                name="status",
                native_enum=False,
                length=20,
            ),
            server_default="available",
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("items", "status")
