"""The advisory lock that only one run at a time holds."""
