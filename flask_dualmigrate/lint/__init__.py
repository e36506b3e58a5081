"""lint: what is dangerous in a revision's two scripts, and what to write instead."""

from __future__ import annotations

from .change import Change
from .column_types import parse_type
from .facts import UNKNOWN, Facts
from .finding import (
    RULES,
    Finding,
    LintResult,
    Severity,
    titles,
)
from .linter import Linter, Wings
from .narrowing import narrows
from .op_changes import changes_of
from .postgres_loss import loss_of
from .sql_changes import changes_of_sql

__all__ = [
    "RULES",
    "UNKNOWN",
    "Change",
    "Facts",
    "Finding",
    "LintResult",
    "Linter",
    "Severity",
    "Wings",
    "changes_of",
    "changes_of_sql",
    "loss_of",
    "narrows",
    "parse_type",
    "titles",
]
