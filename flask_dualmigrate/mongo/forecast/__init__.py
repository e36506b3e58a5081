"""Counting, sampling and looking at documents before a run."""

from __future__ import annotations

__all__ = []
