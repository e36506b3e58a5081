"""The handlers: everything the tool knows about each operation of a Mongo script."""
