"""A result as text for a person, or as JSON for a program."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import singledispatch
from pathlib import Path
from typing import Any

from .results import (
    CheckResult,
    CurrentResult,
    GraphResult,
    GraphRevision,
    InitResult,
    PlanResult,
    RepairResult,
    RevisionResult,
    RunResult,
    ShowResult,
    StampResult,
    StatusResult,
)
from .revision import Direction
from .status import SideStatus


def as_json(result: Any) -> str:
    """Return a result as one JSON object; times are ISO 8601 with their offset."""
    return json.dumps(_plain(result), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        if isinstance(value, CheckResult):
            fields = {"ok": value.ok, **fields}
        return _plain(fields)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return _utc(value).isoformat()
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def as_text(result: Any) -> str:
    """Return a result as lines for a person; no line end after the last."""
    return "\n".join(_lines(result))


@singledispatch
def _lines(result: Any) -> Iterator[str]:
    yield str(result)


@_lines.register
def _(result: InitResult) -> Iterator[str]:
    if not result.created and not result.rewritten:
        yield f"{_path(result.directory)} is complete."
    for path in result.created:
        yield f"Created {_path(path)}"
    for path in result.rewritten:
        yield f"Rewrote {_path(path)}"


@_lines.register
def _(result: RevisionResult) -> Iterator[str]:
    for line in result.detected:
        yield f"Detected: {line}"
    if result.revision is None:
        yield "The models have nothing that the database has not; nothing was written."
    for path in result.files:
        yield f"Wrote {_path(path)}"


@_lines.register
def _(result: RunResult) -> Iterator[str]:
    if not result.steps:
        yield "Nothing to do."
        return
    verb = "Upgraded" if result.direction is Direction.UPGRADE else "Downgraded"
    for step in result.steps:
        sides = " and ".join(name.label for name in reversed(step.backends))
        duration = _duration(step.duration_ms)
        message = _one_line(step.message)
        yield f"{verb} {step.revision}  {message}  ({sides}, {duration})"


@_lines.register
def _(result: PlanResult) -> Iterator[str]:
    if not result.revisions:
        yield "Nothing to do."
        return
    for planned in result.revisions:
        message = _one_line(planned.message)
        yield f"-- {result.direction} {planned.revision}  {message}"
        for side in planned.sides:
            yield f"   {side.backend.label}:"
            if not side.lines:
                yield "     nothing to do"
            for line in side.lines:
                yield f"     {line}"
    yield "Nothing was touched."


@_lines.register
def _(result: StampResult) -> Iterator[str]:
    where = " and ".join(name.label for name in reversed(result.backends))
    yield f"Stamped {where} at {', '.join(result.heads) or 'base'}."


@_lines.register
def _(result: RepairResult) -> Iterator[str]:
    what = "counts as done" if result.done else "is called again"
    yield f"Step {result.step} of {result.revision} {what} when the run carries on."


@_lines.register
def _(result: CurrentResult) -> Iterator[str]:
    for name, heads in sorted(result.heads.items(), reverse=True):
        suffix = " (head)" if result.at_head and heads else ""
        yield f"{name.label}: {', '.join(heads) or 'base'}{suffix}"


@_lines.register
def _(result: StatusResult) -> Iterator[str]:
    if not result.rows:
        yield "There are no revisions."
        return
    titles = [name.label for name in result.backends]
    rows = [["Revision", "Message", *titles]]
    for row in result.rows:
        sides = [_side_text(row.sides[name]) for name in result.backends]
        rows.append([row.revision, _one_line(row.message), *sides])
    yield from _table(rows)
    yield ""
    for problem in result.problems:
        yield f"{problem}. See: flask db-migrate check"
    if result.pending:
        noun = "revision is" if result.pending == 1 else "revisions are"
        yield f"{result.pending} {noun} pending. Run: flask db-migrate upgrade"
    elif not result.problems:
        yield "Up to date."


@_lines.register
def _(result: GraphResult) -> Iterator[str]:
    if not result.revisions:
        yield "There are none."
    for revision in result.revisions:
        yield _graph_line(revision)


@_lines.register
def _(result: ShowResult) -> Iterator[str]:
    revision = result.revision
    yield f"Revision: {revision.revision}{_marks(revision)}"
    yield f"Parents:  {', '.join(revision.parents) or 'base'}"
    if revision.depends_on:
        yield f"Depends:  {', '.join(revision.depends_on)}"
    if revision.branch_labels:
        yield f"Labels:   {', '.join(revision.branch_labels)}"
    for name, path in sorted(result.files.items(), reverse=True):
        yield f"{name.label + ':':<12}{_path(path)}"
    yield ""
    yield revision.message
    for name, attempts in sorted(result.attempts.items(), reverse=True):
        yield ""
        yield f"On {name.label}:" if attempts else f"On {name.label}: never run"
        for attempt in attempts:
            yield f"  {_attempt(attempt)}"


@_lines.register
def _(result: CheckResult) -> Iterator[str]:
    for finding in result.findings:
        yield f"{finding.kind}: {finding.text}"
    if result.ok:
        yield "No problem found."
    else:
        noun = "problem" if len(result.findings) == 1 else "problems"
        yield f"{len(result.findings)} {noun} found."


def _attempt(attempt: Mapping[str, Any]) -> str:
    when = attempt.get("finished_at") or attempt.get("started_at")
    parts = [str(attempt.get("direction")), str(attempt.get("status"))]
    if when is not None:
        parts.append(_when(when))
    if attempt.get("duration_ms") is not None:
        parts.append(_duration(int(attempt["duration_ms"])))
    parts.append(f"by {attempt.get('by')} on {attempt.get('host')}")
    if attempt.get("error"):
        parts.append(f"- {attempt['error']}")
    return "  ".join(parts)


def _graph_line(revision: GraphRevision) -> str:
    parents = ", ".join(revision.parents) or "base"
    current = "".join(f" (current: {name.label})" for name in revision.current)
    labels = f" ({', '.join(revision.branch_labels)})" if revision.branch_labels else ""
    marks = f"{labels}{_marks(revision)}{current}"
    return f"{parents} -> {revision.revision}{marks}, {_one_line(revision.message)}"


def _marks(revision: GraphRevision) -> str:
    marks = (
        (revision.is_head, " (head)"),
        (revision.is_branch_point, " (branchpoint)"),
        (revision.is_merge_point, " (mergepoint)"),
    )
    return "".join(mark for holds, mark in marks if holds)


def _side_text(side: SideStatus) -> str:
    parts = [side.state]
    if side.applied_at is not None:
        parts.append(_when(side.applied_at))
    if side.stamped and side.state == "applied":
        parts.append("(stamped)")
    elif side.duration_ms is not None:
        parts.append(_duration(side.duration_ms))
    return " ".join(parts)


def _when(moment: datetime) -> str:
    return f"{_utc(moment):%Y-%m-%d %H:%M:%S}Z"


def _utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without a zone, as SQLite gives it, is in UTC."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def _duration(duration_ms: int) -> str:
    if duration_ms < 10_000:
        return f"{duration_ms} ms"
    seconds = duration_ms / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _path(path: str) -> str:
    """Return a path as seen from where the command runs, if it lies below."""
    here = Path.cwd()
    return (
        str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
    )


def _one_line(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)
