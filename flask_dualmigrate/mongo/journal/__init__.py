"""`_migrations`: which attempts there were, and how far each step is."""
