"""The user's tree on disk: scripts, lock file and graph."""
