"""The indexes of tables: read, built, compared."""
