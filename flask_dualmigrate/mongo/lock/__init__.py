"""The lease, which only one run at a time holds."""
