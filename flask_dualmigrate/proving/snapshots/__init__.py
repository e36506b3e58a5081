"""What a database holds, and two of these compared."""
