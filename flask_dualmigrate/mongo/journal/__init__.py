"""`_migrations`: the attempts so far, and how far each step is."""
