"""Code that the families of operations share."""
