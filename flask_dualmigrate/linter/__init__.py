"""lint: find dangers in a revision's two scripts, and suggest what to write instead."""

from __future__ import annotations

from .advice.finding import RULES, Finding, LintResult, Severity, titles
from .linter import Linter, Wings
from .rules.postgres_loss import loss_of
from .views.facts import UNKNOWN, Facts

__all__ = [
    "RULES",
    "UNKNOWN",
    "Facts",
    "Finding",
    "LintResult",
    "Linter",
    "Severity",
    "Wings",
    "loss_of",
    "titles",
]
