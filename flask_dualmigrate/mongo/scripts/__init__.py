"""The tree's Mongo scripts, and what they record."""
