"""Scratch databases: created on a server, and dropped again."""
