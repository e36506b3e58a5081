"""Scratch databases: made on a server, and dropped again."""
