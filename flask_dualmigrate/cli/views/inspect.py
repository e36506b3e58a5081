"""How the results of `current`, `status`, `history`, `show` and `check` are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...backend.progress import how_far
from ...run.plan import NOT_A_PAIR, WHEN_AHEAD
from ...run.status import SideStatus
from ...text import counted, duration, one_line, short_path, when
from ...verbs.check import CheckResult
from ...verbs.history import GraphResult, GraphRevision
from ...verbs.inspect import CurrentResult, ShowResult, StatusResult
from .layout import lines, table


@lines.register
def _(result: CurrentResult) -> Iterator[str]:
    for name, heads in sorted(result.heads.items(), reverse=True):
        suffix = " (head)" if result.at_head and heads else ""
        yield f"{name.label}: {', '.join(heads) or 'base'}{suffix}"
    yield from result.half_done
    yield from _not_paired(result.paired)
    yield from _ahead(result.ahead)


@lines.register
def _(result: StatusResult) -> Iterator[str]:
    if not result.rows:
        yield "There are no revisions."
        yield from _not_paired(result.paired)
        yield from _ahead(result.ahead)
        return
    titles = [name.label for name in result.backends]
    rows = [["Revision", "Message", *titles]]
    for row in result.rows:
        sides = [side_text(row.sides[name]) for name in result.backends]
        rows.append([row.revision, one_line(row.message), *sides])
    yield from table(rows)
    yield ""
    yield from _under_way(result)
    for problem in result.problems:
        yield f"{problem}. See: flask db-migrate check"
    yield from _not_paired(result.paired)
    yield from _ahead(result.ahead)
    yield from _what_next(result)


@lines.register
def _(result: GraphResult) -> Iterator[str]:
    if not result.revisions:
        yield "There are none."
    for revision in result.revisions:
        yield _graph_line(revision)


@lines.register
def _(result: ShowResult) -> Iterator[str]:
    revision = result.revision
    yield f"Revision: {revision.revision}{_marks(revision)}"
    yield f"Parents:  {', '.join(revision.parents) or 'base'}"
    if revision.depends_on:
        yield f"Depends:  {', '.join(revision.depends_on)}"
    if revision.branch_labels:
        yield f"Labels:   {', '.join(revision.branch_labels)}"
    for name, path in sorted(result.files.items(), reverse=True):
        yield f"{name.label + ':':<12}{short_path(path)}"
    yield ""
    yield revision.message
    for name, attempts in sorted(result.attempts.items(), reverse=True):
        yield ""
        yield f"On {name.label}:" if attempts else f"On {name.label}: never run"
        for attempt in attempts:
            yield f"  {_attempt(attempt)}"
            for note in attempt.get("notes") or ():
                yield f"    {note}"


@lines.register
def _(result: CheckResult) -> Iterator[str]:
    for finding in result.findings:
        yield f"{finding.kind}: {finding.text}"
    for text in result.not_compared:
        yield f"not compared: {text}"
    if result.ok:
        looked_at = " in what was compared" if result.not_compared else ""
        yield f"No problem found{looked_at}."
    else:
        yield f"{counted(len(result.findings), 'problem')} found."


def _attempt(attempt: Mapping[str, Any]) -> str:
    moment = attempt.get("finished_at") or attempt.get("started_at")
    parts = [str(attempt.get("direction")), str(attempt.get("status"))]
    if moment is not None:
        parts.append(when(moment))
    if attempt.get("duration_ms") is not None:
        parts.append(duration(int(attempt["duration_ms"])))
    parts.append(f"by {attempt.get('by')} on {attempt.get('host')}")
    if attempt.get("error"):
        parts.append(f"- {' '.join(str(attempt['error']).split())}")
    return "  ".join(parts)


def _graph_line(revision: GraphRevision) -> str:
    parents = ", ".join(revision.parents) or "base"
    current = "".join(f" (current: {name.label})" for name in revision.current)
    labels = f" ({', '.join(revision.branch_labels)})" if revision.branch_labels else ""
    marks = f"{labels}{_marks(revision)}{current}"
    return f"{parents} -> {revision.revision}{marks}, {one_line(revision.message)}"


def _marks(revision: GraphRevision) -> str:
    marks = (
        (revision.is_head, " (head)"),
        (revision.is_branch_point, " (branchpoint)"),
        (revision.is_merge_point, " (mergepoint)"),
    )
    return "".join(mark for holds, mark in marks if holds)


def _what_next(result: StatusResult) -> Iterator[str]:
    """Sum up the rows.

    A downgrade that stopped halfway leaves nothing pending, and yet the databases are
    not up to date."""
    states = {side.state for row in result.rows for side in row.sides.values()}
    if result.pending:
        noun = "revision is" if result.pending == 1 else "revisions are"
        run = "" if "running" in states else " Run: flask db-migrate upgrade"
        yield f"{result.pending} {noun} pending.{run}"
    if "running" in states:
        yield "A migration is running. To see who runs it: flask db-migrate unlock"
    elif "stopped" in states:
        yield "A revision is half done. For your options: flask db-migrate repair"
    elif not result.pending and not result.problems and result.ok:
        yield "Up to date."


def _not_paired(paired: bool) -> Iterator[str]:
    if not paired:
        yield f"{NOT_A_PAIR}. For your options: flask db-migrate repair"


def _ahead(lines_: Sequence[str]) -> Iterator[str]:
    """Show what the databases have beyond this code, and what to do about it."""
    for line in lines_:
        yield f"{line}. {WHEN_AHEAD}"


def _under_way(result: StatusResult) -> Iterator[str]:
    for row in result.rows:
        for name, side in row.sides.items():
            if side.state in ("failed", "stopped") and side.error:
                yield f"{row.revision} on {name.label}: {one_line(side.error, 200)}"
            if (at := side.progress) is not None:
                what = f"step {at.step}, {at.verb} {at.subject or ''}".rstrip()
                yield f"{row.revision} on {name.label}: {what}: {how_far(at)}"


def side_text(side: SideStatus) -> str:
    """Return the state of a revision on one side, as a table cell."""
    parts = [side.state]
    if side.applied_at is not None:
        parts.append(when(side.applied_at))
    if side.stamped and side.state == "applied":
        parts.append("(stamped)")
    elif side.duration_ms is not None:
        parts.append(duration(side.duration_ms))
    return " ".join(parts)
