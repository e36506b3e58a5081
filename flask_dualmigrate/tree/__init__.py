"""The user's tree on the disk: scripts, lock file, graph."""
