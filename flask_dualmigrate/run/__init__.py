"""The engine, which plans and runs revisions through the protocols of `backend`."""
