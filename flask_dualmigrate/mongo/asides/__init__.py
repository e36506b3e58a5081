"""What was dropped and is kept aside, so that it can be put back."""
