"""Bringing collections back from a backup."""
