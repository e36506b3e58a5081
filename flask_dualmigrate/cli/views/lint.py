"""How lint findings are shown: to a person, to a program, on a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...linter import Finding, LintResult, Severity
from ...text import counted, short_path
from .layout import lines


@lines.register
def _(result: LintResult) -> Iterator[str]:
    for finding in result.findings:
        yield f"{_where(finding)}: {finding.code} {_title(finding)}"
        yield f"  {finding.danger}"
        if finding.instead:
            yield "  Write instead:"
            for line in finding.instead.splitlines():
                yield f"      {line}".rstrip()
        if not finding.code.startswith("DM00"):
            yield f"  Or allow it with: {finding.allow}"
        yield ""
    yield _sum(result)


def as_annotations(result: LintResult) -> Iterator[str]:
    """Yield the findings as annotations of a GitHub pull request."""
    for finding in result.findings:
        path = Path(short_path(finding.path)).as_posix()
        title = f"{finding.code}: {finding.title}"
        text = "\n\n".join(filter(None, (finding.danger, finding.instead)))
        yield (
            f"::warning file={_property(path)},line={finding.line},"
            f"title={_property(title)}::{_data(text)}"
        )


def in_one_line(finding: Finding) -> str:
    """Return a finding in one line, without the replacement."""
    return f"{_where(finding)}: {finding.code} {_title(finding)}. {finding.danger}"


def _where(finding: Finding) -> str:
    return f"{short_path(finding.path)}:{finding.line}"


def _title(finding: Finding) -> str:
    is_loss = finding.severity is Severity.DESTRUCTIVE
    return f"{finding.title} (destructive)" if is_loss else finding.title


def _sum(result: LintResult) -> str:
    looked = counted(result.revisions, "revision")
    allowed = f"; {len(result.allowed)} allowed by comments" if result.allowed else ""
    if not result.findings:
        return f"Nothing found in {looked}{allowed}."
    lost = sum(f.severity is Severity.DESTRUCTIVE for f in result.findings)
    destructive = f", {lost} of them destructive" if lost else ""
    found = counted(len(result.findings), "finding")
    return f"{found} in {looked}{destructive}{allowed}."


def _data(text: str) -> str:
    """Escape the data of a workflow command, as GitHub's own toolkit does."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
