"""lint: what is dangerous in a revision's two scripts, and what to write instead."""

from __future__ import annotations

from .facts import UNKNOWN, Facts
from .finding import RULES, TITLES, Advice, Finding, Rule, Severity, titles
from .linter import Counterpart, Linter, Wings
from .losses import losses

__all__ = [
    "RULES",
    "TITLES",
    "UNKNOWN",
    "Advice",
    "Counterpart",
    "Facts",
    "Finding",
    "Linter",
    "Rule",
    "Severity",
    "Wings",
    "losses",
    "titles",
]
