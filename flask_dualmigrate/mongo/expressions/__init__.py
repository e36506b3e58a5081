"""Filters, pipelines and raw BSON, as values."""
