"""A plan as JavaScript, for a person to review and to run with mongosh."""

from __future__ import annotations

from .script import MongoshScript

__all__ = ["MongoshScript"]
