"""Reading, building and comparing the indexes of tables."""
