"""The names that the journal has in MongoDB."""

ENTRIES, META = "_migrations", "_migrations_meta"
"""Collections: one document per revision; what a database says about itself."""

PAIR, RESTORE, HISTORY, SERVER = "pair", "restore", "history", "server"
"""Keys in META. RESTORE: a restore that was begun, see restore/record.py. HISTORY:
there are entries; written after the first one. SERVER: the version of the server that
was found able to do what migrations need."""
