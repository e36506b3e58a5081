"""What an Alembic script does, taken down without a database."""

from __future__ import annotations

from .alembic_script import Call, Recorder, Recording, foreign_key_op, record

__all__ = ["Call", "Recorder", "Recording", "foreign_key_op", "record"]
