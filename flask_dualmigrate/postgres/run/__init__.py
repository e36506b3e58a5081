"""One attempt at a script: its session, its limits, its failures."""
