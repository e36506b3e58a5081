"""Checks before a run: privileges, server features, losses."""
