"""How times, durations, paths and tables look to a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import singledispatch
from pathlib import Path
from typing import Any


@singledispatch
def lines(result: Any) -> Iterator[str]:
    """Yield a result line by line; each kind of result registers how it looks."""
    yield str(result)


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


def short_path(path: str) -> str:
    """Return a path as seen from where the command runs, if it lies below."""
    here = Path.cwd()
    return (
        str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
    )


def one_line(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)
