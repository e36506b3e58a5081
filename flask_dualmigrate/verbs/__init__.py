"""One file per verb: (environment, arguments) -> result."""
