"""Writes the two scripts of a revision from one change of the models."""

from __future__ import annotations

from .generate import (
    Pair,
    differences,
    empty_pair,
    empty_partner,
    generate,
    pair_from_script,
)
from .header import Header, clean_message
from .naming import Naming

__all__ = [
    "Header",
    "Naming",
    "Pair",
    "clean_message",
    "differences",
    "empty_pair",
    "empty_partner",
    "generate",
    "pair_from_script",
]
