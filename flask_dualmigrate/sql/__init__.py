"""Reads SQL text: its tokens, its statements, and the names in them. Pure."""
