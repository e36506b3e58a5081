"""The same change translated into operations on collections."""
