"""Applying a script's operations, undoing them, or only rehearsing them."""
