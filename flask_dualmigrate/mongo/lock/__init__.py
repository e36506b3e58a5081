"""The lease that one run at a time holds."""
