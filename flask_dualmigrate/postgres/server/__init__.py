"""Dealing with the server, the driver and Alembic: errors, connections."""
