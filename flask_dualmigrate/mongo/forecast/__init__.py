"""What the operations of a plan would do to the documents that are there now."""

from __future__ import annotations

from .rehearsal import FORECASTS, Rehearsal

__all__ = ["FORECASTS", "Rehearsal"]
