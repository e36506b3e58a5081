"""Checks before a run: scripts, rights, losses."""
