"""Results as lines and rows as a table; each view registers its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import Any

from ...text import visible


@singledispatch
def lines(result: Any) -> Iterator[str]:
    """Yield the lines of a result; each kind of result registers its own view."""
    yield from str(result).split("\n")


@singledispatch
def json_of(result: Any) -> Any:
    """Return the JSON value of a result; a kind of result may register its own."""
    return result


def table(rows: list[list[str]]) -> Iterator[str]:
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)
