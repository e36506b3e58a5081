"""The indexes of collections: read, built, compared."""
