"""The names that PostgreSQL gives to unnamed constraints.

Source: PostgreSQL, makeObjectName and ChooseRelationName in commands/indexcmds.c.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

MAX_BYTES = 63


def kept(name: str) -> str:
    """Return a name as PostgreSQL truncates it."""
    return _cut(name.encode(), MAX_BYTES)


def aside_name(name: str) -> str:
    """Return the temporary name of something whose own name is needed."""
    return _object_name(name, "", "_old")


def primary_key_name(table: str) -> str:
    return _object_name(table, "", "pkey")


def unique_name(
    table: str, columns: Sequence[str], *, taken: Collection[str] = ()
) -> str:
    return _free_name(table, "_".join(columns), "key", taken)


def foreign_key_name(
    table: str, columns: Sequence[str], *, taken: Collection[str] = ()
) -> str:
    return _free_name(table, "_".join(columns), "fkey", taken)


def check_name(table: str, columns: Sequence[str]) -> str:
    return _object_name(table, "_".join(columns), "check")


def _free_name(first: str, second: str, label: str, taken: Collection[str]) -> str:
    """Return the name with the lowest number appended that makes it unused."""
    name, count = _object_name(first, second, label), 0
    while name in taken:
        count += 1
        name = _object_name(first, second, f"{label}{count}")
    return name


def _object_name(first: str, second: str, label: str) -> str:
    """Join the parts with underscores, cutting the longer of the first two to fit."""
    one, two = first.encode(), second.encode()[:MAX_BYTES]
    room = MAX_BYTES - len(label) - 1 - (1 if second else 0)
    lengths = [len(one), len(two)]
    while sum(lengths) > room:
        longer = 0 if lengths[0] > lengths[1] else 1
        lengths[longer] -= 1
    parts = [_cut(one, lengths[0]), _cut(two, lengths[1]), label]
    return "_".join(part for part in parts if part)


def _cut(text: bytes, length: int) -> str:
    """Return at most `length` bytes of a text, without splitting a character."""
    return text[:length].decode(errors="ignore")
