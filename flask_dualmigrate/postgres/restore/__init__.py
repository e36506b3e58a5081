"""Bringing tables back from a backup."""
