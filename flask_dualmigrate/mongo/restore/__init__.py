"""Restoring collections from a backup."""
