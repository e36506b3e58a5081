"""JavaScript for mongosh: values, plain statements, and the entries of the journal."""
