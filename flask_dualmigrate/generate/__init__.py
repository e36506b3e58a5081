"""Write a revision's two scripts from one change to the models."""

from __future__ import annotations

from ..tree.pair import Header, Pair
from .mongo.naming import Naming
from .pair import empty_pair, empty_partner, pair_from_script
from .proposals import Comparison, compare_models, differences, generate
from .source.header import clean_message

__all__ = [
    "Comparison",
    "Header",
    "Naming",
    "Pair",
    "clean_message",
    "compare_models",
    "differences",
    "empty_pair",
    "empty_partner",
    "generate",
    "pair_from_script",
]
