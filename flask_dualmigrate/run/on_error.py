"""What a run does with both databases when one of its scripts fails."""

from __future__ import annotations

from enum import StrEnum


class OnError(StrEnum):
    """What a run does with both databases when one of its scripts fails."""

    UNDO = "undo"
    RESTORE = "restore"
    KEEP = "keep"
