"""Indexes as values: what is there, what is declared, and where the two differ.

Pure: the wings read and build, `compare` judges, `sides` says what a wing offers.
"""

from __future__ import annotations

from .compare import compare, edited_in_scripts, settle_declarations
from .normalise import Definition, normalise
from .results import (
    IndexDiffResult,
    IndexDropResult,
    IndexListResult,
    IndexRebuildResult,
    IndexSyncResult,
    SyncAction,
)
from .sides import IndexSide, OnBuild
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
    "IndexDiffResult",
    "IndexDropResult",
    "IndexListResult",
    "IndexRebuildResult",
    "IndexSide",
    "IndexSyncResult",
    "Listing",
    "OnBuild",
    "Remedy",
    "SqlComparison",
    "SqlIndex",
    "State",
    "SyncAction",
    "Verdict",
    "compare",
    "edited_in_scripts",
    "normalise",
    "settle_declarations",
]
