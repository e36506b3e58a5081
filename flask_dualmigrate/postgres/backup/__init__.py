"""Copying tables to disk, and finding the tables that a plan touches."""
