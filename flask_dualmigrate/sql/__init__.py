"""Everything that reads or writes SQL as text."""
