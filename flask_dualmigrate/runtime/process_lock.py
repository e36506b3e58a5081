"""The lock for `alembic.op` and `alembic.context`, which are global to the process."""

from __future__ import annotations

import threading

one_script_at_a_time = threading.RLock()
"""Held while an Alembic script runs or is recorded; without it, 8 threads hung."""
