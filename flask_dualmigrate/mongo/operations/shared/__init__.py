"""What the families of operations share."""
