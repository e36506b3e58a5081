"""Making text safe to show and store; times, sizes and paths in words.

A name in a database, what a script raised, who holds a lock: any of them may contain
what controls a terminal, or what a database refuses.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def when(moment: datetime) -> str:
    return f"{utc(moment):%Y-%m-%d %H:%M:%S}Z"


def utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without a zone, as from SQLite, is taken as UTC."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def counted(number: int, noun: str) -> str:
    """Return a number and its noun: 1 row, 2,000 rows."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def duration(duration_ms: int) -> str:
    if duration_ms < 10_000:
        return f"{duration_ms} ms"
    seconds = duration_ms / 1000
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def short_path(path: str) -> str:
    """Return a path relative to the current directory, if it is below that."""
    here = Path.cwd()
    return (
        str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
    )


def one_line(message: str, longest: int = 60) -> str:
    text = " ".join(message.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def size(size_bytes: int) -> str:
    """Return bytes as text, in steps of 1024."""
    number = float(size_bytes)
    for unit in _SIZES[:-1]:
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} {_SIZES[-1]}"


_LONGEST = 10_000
_MOST_STORED = 50

# Cc, Cf (except the joiners of scripts and of emoji), Cs, Zl, Zp.
_UNFIT = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0001-\U000e007f"
)
_CONTROLS = re.compile(f"[{_UNFIT}]")
_BUT_LINES = re.compile(f"(?![\n\t])[{_UNFIT}]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def visible(text: str, *, lines: bool = False) -> str:
    r"""Return a text with its control characters as escapes, such as \x1b.

    This includes characters that change the text direction, and line ends. lines: keep
    line ends and tabs, for a text that may have several lines.
    """
    return (_BUT_LINES if lines else _CONTROLS).sub(_escaped, text)


def visible_json(text: str) -> str:
    """Return JSON with the same characters as JSON escapes; it stays valid.

    Line ends between its values are kept.
    """
    return _BUT_LINES.sub(lambda found: "".join(_units(found[0])), text)


def storable(text: str) -> str:
    """Return a text that both databases can store, cut to what fits in a journal.

    Neither BSON nor PostgreSQL accepts half a surrogate pair, and PostgreSQL no NUL.
    """
    return cut(_UNSTORABLE.sub(_escaped, text))


def cut(text: str) -> str:
    """Return a text shortened to what is worth reading."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 30]}… ({len(text):,} characters)"


def storable_lines(texts: Iterable[str]) -> list[str]:
    """Return texts that can be stored, and how many more there are."""
    found = [storable(text) for text in texts]
    more = len(found) - _MOST_STORED
    return found if more <= 0 else [*found[:_MOST_STORED], f"and {more} more"]


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _units(char: str) -> Iterable[str]:
    """Yield the JSON escapes of a character: two for one beyond U+FFFF."""
    for (unit,) in struct.iter_unpack(">H", char.encode("utf-16-be", "surrogatepass")):
        yield f"\\u{unit:04x}"


def own_version() -> str:
    """Return the version of this package, as it is installed."""
    try:
        return version("Flask-DualMigrate")
    except PackageNotFoundError:  # it runs from a folder, without being installed
        return "unknown"
