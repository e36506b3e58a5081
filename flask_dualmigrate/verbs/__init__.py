"""One file a verb: (environment, arguments) -> result."""
