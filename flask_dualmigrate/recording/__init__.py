"""What an Alembic script does, taken down without a database."""

from __future__ import annotations

from .alembic_script import Call, Recorder, Recording, foreign_key_op, record
from .dispatch import by_class

__all__ = ["Call", "Recorder", "Recording", "by_class", "foreign_key_op", "record"]
