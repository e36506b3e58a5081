"""`# dualmigrate: allow DM101 reason`: comments that allow what lint found."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator

from .advice.finding import OWN, Advice, Finding, Rule
from .views.source import Comment, Source

_MARK = "dualmigrate:"
_COMMENT = re.compile(
    r"#\s*dualmigrate:\s*allow\s+(?P<codes>DM\d+(?:\s*,\s*DM\d+)*)\s*(?P<reason>.*)"
)


@dataclasses.dataclass
class Allowance:
    """One comment. lines: those of the script that it applies to; None: all of them."""

    comment: Comment
    codes: tuple[str, ...]
    reason: str
    lines: tuple[int, int] | None
    used: set[str] = dataclasses.field(default_factory=set)

    def fits(self, finding: Finding) -> bool:
        if finding.code not in self.codes or not self.reason:
            return False
        return self.lines is None or self.lines[0] <= finding.line <= self.lines[1]


def allowances(source: Source) -> list[Allowance]:
    """Return the allow-comments of a script."""
    if _MARK not in source.text:
        return []
    found = []
    for comment in source.comments:
        if _MARK in comment.text:
            match = _COMMENT.match(comment.text)
            codes = tuple(re.findall(r"DM\d+", match["codes"])) if match else ()
            reason = match["reason"].strip(" \t:-") if match else ""
            found.append(Allowance(comment, codes, reason, _lines(source, comment)))
    return found


def _lines(source: Source, comment: Comment) -> tuple[int, int] | None:
    if comment.alone and comment.line <= source.head_ends:
        return None
    line = source.line_after(comment.line) if comment.alone else comment.line
    return source.span(line)


def allow(findings: Iterable[Finding], allowed: list[Allowance]) -> Iterator[Finding]:
    """Yield findings, each with the reason of the comment that allows it."""
    for finding in findings:
        for allowance in allowed:
            if allowance.fits(finding):
                allowance.used.add(finding.code)
                finding = dataclasses.replace(finding, allowed=allowance.reason)
                break
        yield finding


def faults(
    allowed: list[Allowance], *, known: Collection[str], unsure: Collection[str]
) -> Iterator[tuple[Rule, Advice]]:
    """Yield what is wrong with the comments themselves.

    known: the existing codes; unsure: those of rules that this run could not
    check, so that their comments are not reported.
    """
    for allowance in allowed:
        for code, danger, instead in _faults(allowance, known, unsure):
            yield OWN[code], Advice(danger, instead, allowance.comment.line)


def _faults(
    allowance: Allowance, known: Collection[str], unsure: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    if not allowance.codes:
        yield (
            "DM002",
            "This comment addresses DualMigrate but names no rule, so it allows "
            "nothing.",
            "# dualmigrate: allow DM101 why this is safe here",
        )
        return
    codes = ", ".join(allowance.codes)
    if not allowance.reason:
        yield (
            "DM001",
            "The comment gives no reason, so no one can judge later "
            "whether it still holds. Without a reason it allows nothing.",
            f"# dualmigrate: allow {codes} why this is safe here",
        )
        return
    for code in allowance.codes:
        if code not in known:
            yield "DM002", f"There is no rule {code}: the comment allows nothing.", ""
        elif code not in allowance.used and code not in unsure:
            yield (
                "DM003",
                f"{code} finds nothing here, so the comment would only hide "
                "what a later edit introduces. Remove it.",
                "",
            )
