"""The tables that scripts have created so far, as values."""
