"""How the results of `unlock`, `repair` and `verify` are shown."""

from __future__ import annotations

from collections.abc import Iterator

from ...text import counted, one_line
from ...verbs.repair import AcceptResult, RepairReport, RepairResult, UndoResult
from ...verbs.repair_cases import Case
from ...verbs.repair_pair import PairResult
from ...verbs.unlock import SideLock, UnlockResult
from ...verbs.verify import Counted, Verified, VerifyResult
from .inspect import side_text
from .layout import lines, table


@lines.register
def _(result: PairResult) -> Iterator[str]:
    stands = [
        f"{name.label} at {', '.join(heads) or 'base'}"
        for name, heads in sorted(result.heads.items(), reverse=True)
    ]
    yield f"{' and '.join(stands)} are now a pair."
    if len(set(result.heads.values())) > 1:
        yield "To bring both to the same revision, run: flask db-migrate upgrade"


@lines.register
def _(result: RepairResult) -> Iterator[str]:
    what = "counts as done" if result.done else "is run again"
    yield f"Step {result.step} of {result.revision} {what} when the run carries on."


@lines.register
def _(result: UnlockResult) -> Iterator[str]:
    for side in result.sides:
        yield f"The lock on {side.backend.label}: {_lock(side)}"
    for line in result.under_way:
        yield f"Under way: {line}"
    if not result.ok:
        yield (
            "If that process is still running, wait for it. If it hangs, end it; if it "
            "is certainly gone, release its lock: flask db-migrate unlock --force"
        )


def _lock(side: SideLock) -> str:
    if side.holder is None:
        return "not held."
    if side.outcome == "free":
        return f"no longer held; {side.holder} held it."
    if side.outcome == "freed":
        why = f": {side.gone}" if side.gone else ""
        return f"freed; it was held by {side.holder}{why}."
    left = side.holder.lease_s
    lease = "" if left is None else f"; its lease has {max(0.0, left):.0f} s left"
    return f"held by {side.holder}{lease}."


@lines.register
def _(result: RepairReport) -> Iterator[str]:
    for name, heads in sorted(result.heads.items(), reverse=True):
        yield f"{name.label} is at {', '.join(heads) or 'base'}."
    if result.rows:
        yield ""
        names = list(result.rows[0].sides)
        rows = [["Revision", "Message", *(name.label for name in names)]]
        for row in result.rows:
            sides = [side_text(row.sides[name]) for name in names]
            rows.append([row.revision, one_line(row.message), *sides])
        yield from table(rows)
    for case in result.cases:
        yield ""
        yield from _case(case)
    if result.notes:
        yield ""
    for note in result.notes:
        yield f"Note: {note}."
    if result.ok and result.rows:
        yield ""
        yield (
            "Nothing is unfinished. To apply pending revisions, run: flask "
            "db-migrate upgrade"
        )
    elif result.ok:
        yield "Nothing is unfinished, and there is nothing to repair."


def _case(case: Case) -> Iterator[str]:
    yield f"{case.kind}: {case.text}."
    for choice in case.choices:
        yield f"  - {choice.what}{':' if choice.command else ''}"
        if choice.command:
            yield f"      {choice.command}"


@lines.register
def _(result: UndoResult) -> Iterator[str]:
    if result.undone:
        where = " and ".join(name.label for name in result.undone)
        end = " except for this:" if result.notes else "."
        yield f"Undone on {where}: {result.revision}{end}"
    for note in result.notes:
        yield f"  {note}"
    for name in result.closed:
        yield (
            f"{result.revision} is done on both sides: its journal on {name.label} was "
            "closed, and nothing was undone."
        )


@lines.register
def _(result: AcceptResult) -> Iterator[str]:
    where = " and ".join(name.label for name in result.backends)
    yield f"The script of {result.revision} on {where} is accepted as it is now."


@lines.register
def _(result: VerifyResult) -> Iterator[str]:
    for check in result.checks:
        if check.outcome != "none":
            yield f"{check.revision} on {check.backend.label}: {_outcome(check)}"
    for count in result.counts:
        yield _count(count, result.limit)
    yield from _summary(result)


def _outcome(check: Verified) -> str:
    if check.outcome == "passed":
        return "passed"
    noun = "revision was" if check.later == 1 else "revisions were"
    since = f" ({check.later} {noun} applied since)" if check.later else ""
    return f"FAILED{since}: {check.error}"


def _count(count: Counted, limit: int) -> str:
    def said(number: int | None, noun: str, missing: str) -> str:
        if number is None:
            return missing
        at_least = f"{limit:,} or more" if limit and number == limit else f"{number:,}"
        return f"{at_least} {noun}"

    rows = said(count.rows, "rows", "no such table")
    documents = said(count.documents, "documents", "no such collection")
    mark = "" if count.ok else "  DIFFERENT"
    return f"{count.table} / {count.collection}: {rows}, {documents}{mark}"


def _summary(result: VerifyResult) -> Iterator[str]:
    failed = [check for check in result.checks if check.outcome == "failed"]
    different = [count for count in result.counts if not count.ok]
    called = [check for check in result.checks if check.outcome != "none"]
    if not called and not result.counts:
        yield "No applied script has a verify function; nothing was compared."
        return
    parts = [f"{len(called)} verified, {len(failed)} failed"]
    if result.counts:
        counts = counted(len(result.counts), "count")
        parts.append(f"{counts} compared, {len(different)} differ")
    yield f"{'; '.join(parts)}."
    if any(check.later for check in failed):
        yield (
            "A later revision may be the cause. Let the verify function first check "
            "that what it looks at still exists, or use --head-only."
        )
