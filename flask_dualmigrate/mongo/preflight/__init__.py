"""What is looked at before a run: rights, abilities, losses."""
