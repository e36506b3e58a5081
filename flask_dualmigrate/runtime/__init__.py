"""What a process does besides its work: signals, events, limits, crash points."""
