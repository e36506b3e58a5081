"""Walking a collection in batches, each with a checkpoint."""
