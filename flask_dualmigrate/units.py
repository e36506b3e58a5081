"""How a number of bytes looks to a person."""

from __future__ import annotations

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def size(size_bytes: int) -> str:
    """Return bytes as text, in steps of 1024."""
    number = float(size_bytes)
    for unit in _SIZES[:-1]:
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} {_SIZES[-1]}"
