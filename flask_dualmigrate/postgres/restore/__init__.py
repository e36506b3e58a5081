"""Restoring tables from a backup."""
