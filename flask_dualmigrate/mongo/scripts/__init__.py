"""The Mongo scripts of the tree, and what they record."""
