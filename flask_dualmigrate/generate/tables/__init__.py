"""The tables that scripts have made so far, as values."""
