"""Copying collections to the disk."""
