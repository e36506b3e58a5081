"""Copying tables to the disk, and which tables a plan touches."""
