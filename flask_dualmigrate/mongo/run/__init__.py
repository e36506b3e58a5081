"""Applying a script's operations and undoing them, or only rehearsing."""
