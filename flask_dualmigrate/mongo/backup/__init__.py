"""Copying collections to disk."""
