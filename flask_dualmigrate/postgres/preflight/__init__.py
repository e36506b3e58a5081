"""What is looked at before a run: scripts, rights, losses."""
