"""JavaScript for mongosh: values, plain statements, and journal entries."""
