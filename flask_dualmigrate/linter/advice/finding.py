"""What lint reports: findings, and the rules behind them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

from ...revisions import BackendName

NEXT = "# In the next revision:"
"""Separates what goes into one revision from what goes into the next in pasted code."""


class Severity(StrEnum):
    """The severity. DESTRUCTIVE: data is lost, and `upgrade` asks first."""

    WARNING = "warning"
    DESTRUCTIVE = "destructive"


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a rule found at one place.

    danger: in one or two sentences. instead: code to paste; "" if there is none.
    line: in the script; None for the script as a whole.
    """

    danger: str
    instead: str = ""
    line: int | None = None


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a rule warns about.

    backend: whose script it is in. path: of that script. allowed: the reason that an
    allow-comment gives, None if there is no such comment.
    """

    code: str
    title: str
    severity: Severity
    revision: str
    backend: BackendName
    path: str
    line: int
    danger: str
    instead: str
    allowed: str | None = None

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def allow(self) -> str:
        """The comment that allows it."""
        return f"# dualmigrate: allow {self.code} REASON"


@dataclasses.dataclass(frozen=True)
class LintResult:
    """What `lint` found; no findings means that all is well.

    allowed: what comments in the scripts allow. revisions: how many were checked.
    """

    findings: tuple[Finding, ...]
    allowed: tuple[Finding, ...] = ()
    revisions: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings


Advices = Iterator[Advice]
Check = Callable[[Any], Iterable[Advice]]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule. check: takes a view of a script, or of a pair.

    on_downgrade: the downgrade is checked too. counts: it reports more, or anything
    at all, only with a database to count in. only_postgres: it applies to no other
    dialect.
    """

    code: str
    title: str
    severity: Severity
    check: Check
    on_downgrade: bool = False
    counts: bool = False
    only_postgres: bool = False


RULES: dict[str, Rule] = {}
"""Code -> rule: DM1xx for Alembic scripts, DM2xx for Mongo scripts, DM3xx for pairs."""


def rule(
    code: str,
    title: str,
    *,
    severity: Severity = Severity.WARNING,
    on_downgrade: bool = False,
    counts: bool = False,
    only_postgres: bool = False,
) -> Callable[[Check], Check]:
    """Register a function as a rule."""

    def decorate(check: Check) -> Check:
        RULES[code] = Rule(
            code, title, severity, check, on_downgrade, counts, only_postgres
        )
        return check

    return decorate


@functools.cache
def rules_of(digit: str) -> tuple[Rule, ...]:
    """Return the rules of one kind of script, in the order of their codes.

    Call it once all modules with rules are imported.
    """
    return tuple(RULES[code] for code in sorted(RULES) if code.startswith(f"DM{digit}"))


OWN = {
    code: Rule(code, title, Severity.WARNING, lambda view: ())
    for code, title in (
        ("DM001", "an allow-comment without a reason"),
        ("DM002", "an allow-comment for an unknown rule"),
        ("DM003", "an allow-comment that allows nothing"),
        ("DM004", "a script that cannot be read to its end"),
    )
}
"""What lint reports about comments and about itself."""


def titles() -> dict[str, str]:
    """Return code -> title of everything that lint can report."""
    rules = {**OWN, **dict(sorted(RULES.items()))}
    return {code: each.title for code, each in rules.items()}
