"""What runs revisions, and how it is told to."""
