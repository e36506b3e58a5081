"""How asides are shown."""

from __future__ import annotations

from collections.abc import Iterator

from ...backend import Aside
from ...text import counted, size, when
from ...verbs.asides import AsidesResult, PurgeResult
from .layout import lines, table

_AGES = (("d", 86_400), ("h", 3600), ("min", 60))


@lines.register
def _(result: AsidesResult) -> Iterator[str]:
    if not result.asides:
        yield "Nothing is kept aside."
        return
    rows = [["Aside", "Holds", "Documents", "Size", "Since", "Age", "By", "For"]]
    rows += [_row(aside) for aside in result.asides]
    yield from table(rows)
    total = sum(aside.size_bytes for aside in result.asides)
    yield ""
    yield f"{counted(len(result.asides), 'aside')}, {size(total)}."


@lines.register
def _(result: PurgeResult) -> Iterator[str]:
    if not result.dropped and not result.spared:
        yield "No aside is that old; nothing was dropped."
    for aside in result.dropped:
        yield f"Dropped {aside_line(aside)}"
    for aside in result.spared:
        yield (
            f"Left {aside.name}: {aside.revision} is half done, and it needs this aside"
        )


def aside_line(aside: Aside) -> str:
    """Return an aside in one line, and what dropping it means for a downgrade."""
    documents = counted(aside.documents, "document")
    line = f"{aside.name}: {documents}, {size(aside.size_bytes)}"
    if aside.for_downgrade:
        line += f"; a downgrade of {aside.revision} cannot put that back"
    return line


def age(seconds: float) -> str:
    """Return an age in the largest whole unit: 36 d, 5 h, 12 min, 8 s."""
    for unit, length in _AGES:
        if seconds >= length:
            return f"{int(seconds // length):,} {unit}"
    return f"{int(seconds)} s"


def _row(aside: Aside) -> list[str]:
    of = "" if aside.holds == "collection" else "of "
    return [
        aside.name,
        f"{aside.holds} {of}{_path(aside)}",
        f"{aside.documents:,}",
        size(aside.size_bytes),
        when(aside.since),
        age(aside.age_s),
        f"{aside.direction} {aside.revision} step {aside.step}",
        _purpose(aside),
    ]


def _path(aside: Aside) -> str:
    return f"{aside.collection}.{aside.field}" if aside.field else aside.collection


def _purpose(aside: Aside) -> str:
    if aside.needed:
        return f"{aside.revision}, which is half done"
    return f"downgrade of {aside.revision}" if aside.for_downgrade else "you"
