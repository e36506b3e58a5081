"""Rows and documents for proving a revision."""
