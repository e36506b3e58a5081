"""What the server, the driver and Alembic are like: errors, connections."""
