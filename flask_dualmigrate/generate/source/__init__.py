"""Python source, printed as ruff would format it."""
