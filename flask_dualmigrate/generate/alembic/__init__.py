"""Alembic's diff, completed and put in order, as a PostgreSQL script."""
