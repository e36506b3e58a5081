"""The rules, grouped by what they check."""
