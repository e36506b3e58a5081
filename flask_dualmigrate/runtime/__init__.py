"""What a process does around its work: signals, events, limits, crash points."""
