"""The Alembic scripts of the tree: run, recorded, printed for psql."""
