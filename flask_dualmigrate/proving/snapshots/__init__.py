"""Snapshots of a database, and their comparison."""
