"""How times, durations, paths and tables look to a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import singledispatch
from pathlib import Path
from typing import Any

from ..backend import Progress
from ..text import visible


@singledispatch
def lines(result: Any) -> Iterator[str]:
    """Yield a result line by line; each kind of result registers how it looks."""
    yield from str(result).split("\n")


@singledispatch
def json_of(result: Any) -> Any:
    """Return what of a result JSON has; a kind of result may register its own."""
    return result


def when(moment: datetime) -> str:
    return f"{utc(moment):%Y-%m-%d %H:%M:%S}Z"


def utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without a zone, as SQLite gives it, is in UTC."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def duration(duration_ms: int) -> str:
    if duration_ms < 10_000:
        return f"{duration_ms} ms"
    seconds = duration_ms / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def how_far(progress: Progress) -> str:
    """Return the numbers of an operation: done of total, rate, time left."""
    if not progress.done and progress.total is None:
        return "begun"  # a function of a script has no number of documents
    unit = progress.unit
    parts = [f"{progress.done:,} {unit}"]
    if progress.total:
        share = min(100, 100 * progress.done // progress.total)
        parts = [f"{progress.done:,} of {progress.total:,} {unit} ({share} %)"]
    return ", ".join([*parts, *_pace(progress)])


def briefly(progress: Progress) -> str:
    """Return the numbers of an operation in less than half a line."""
    total = f" of {progress.total:,}" if progress.total else ""
    return ", ".join([f"{progress.done:,}{total}", *_pace(progress)])


def _pace(progress: Progress) -> Iterator[str]:
    if progress.rate:
        yield f"{progress.rate:,.0f}/s"
    if progress.left_s and not progress.ended:
        yield f"{_roughly(progress.left_s)} left"


def _roughly(seconds: float) -> str:
    """Return a time to go, no finer than it is known."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def short_path(path: str) -> str:
    """Return a path as seen from where the command runs, if it lies below."""
    here = Path.cwd()
    return (
        str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
    )


def one_line(message: str, longest: int = 60) -> str:
    text = " ".join(message.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def table(rows: list[list[str]]) -> Iterator[str]:
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)
