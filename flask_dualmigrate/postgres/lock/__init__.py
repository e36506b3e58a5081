"""The advisory lock that one run at a time holds."""
