"""The engine: it plans and runs revisions through the protocol of `backend`."""
