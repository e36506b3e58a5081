"""Examples of all results, each with its text; a module for each of `cli.views`."""

from __future__ import annotations

from typing import Any

from . import (
    asides,
    backup,
    index,
    inspect,
    prove,
    recovery,
    run_scripts,
    write_scripts,
)

TEXTS: list[tuple[Any, str]] = [
    *write_scripts.TEXTS,
    *run_scripts.TEXTS,
    *inspect.TEXTS,
    *recovery.TEXTS,
    *asides.TEXTS,
    *backup.TEXTS,
    *index.TEXTS,
    *prove.TEXTS,
]
