"""The names of the journal's tables."""

PREFIX = "dualmigrate_"
JOURNAL, META = f"{PREFIX}journal", f"{PREFIX}meta"
"""One row per attempt; what the database says about itself."""
