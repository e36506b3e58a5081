"""The views of a script that rules check."""
