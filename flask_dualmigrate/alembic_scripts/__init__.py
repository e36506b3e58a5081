"""What an Alembic script does, recorded without a database."""

from __future__ import annotations

from .dispatch import by_class
from .recorder import Call, Recorder, Recording, foreign_key_op, record

__all__ = ["Call", "Recorder", "Recording", "by_class", "foreign_key_op", "record"]
