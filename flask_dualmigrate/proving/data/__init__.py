"""Rows and documents to prove a revision on."""
