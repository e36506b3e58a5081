"""The journal's table, and Alembic's version table."""
