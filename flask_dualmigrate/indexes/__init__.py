"""Indexes as values: which exist, which are declared, and how the two differ.

No I/O: the wings read and build, `comparison` decides, `protocol` says what a wing
offers.
"""

from __future__ import annotations

from .comparison import compare, edited_in_scripts, settle_declarations
from .definition import Definition, normalise
from .protocol import IndexSide, OnBuild
from .values import (
    BuildProgress,
    DeclaredIndex,
    DeclaredIndexes,
    Difference,
    FoundIndex,
    Listing,
    Remedy,
    SqlComparison,
    SqlIndex,
    State,
    Verdict,
)

__all__ = [
    "BuildProgress",
    "DeclaredIndex",
    "DeclaredIndexes",
    "Definition",
    "Difference",
    "FoundIndex",
    "IndexSide",
    "Listing",
    "OnBuild",
    "Remedy",
    "SqlComparison",
    "SqlIndex",
    "State",
    "Verdict",
    "compare",
    "edited_in_scripts",
    "normalise",
    "settle_declarations",
]
