"""What the rules see of a script."""
