"""Alembic's diff, completed and ordered, as a PostgreSQL script."""
