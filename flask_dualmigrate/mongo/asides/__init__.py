"""The asides: what operations removed, kept so that it can be put back."""
