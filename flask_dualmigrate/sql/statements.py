"""Raw SQL cut into statements and into parts; names as PostgreSQL takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .tokens import quote, tokens

NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[A-Za-z_]\w*))*'
"""The pattern of a name, with or without its schema."""


def _parts(text: str, separator: str) -> Iterator[str]:
    """Yield what stands between separators, outside of quotes and brackets."""
    part, depth = "", 0
    for token in tokens(text):
        depth += _DEPTHS.get(token.text, 0)
        if token.text == separator and depth <= 0:
            yield part.strip()
            part = ""
        else:
            part += " " if token.kind == "comment" else token.text
    yield part.strip()


_DEPTHS = {"(": 1, "[": 1, ")": -1, "]": -1}


def statements(text: str) -> list[str]:
    """Return the statements of a text, without comments and semicolons."""
    return [part for part in _parts(text, ";") if part]


def at_commas(text: str) -> list[str]:
    """Return the parts of a list."""
    return [part for part in _parts(text, ",") if part]


def in_brackets(text: str) -> str | None:
    """Return what the first brackets of a text hold; None if it has none."""
    inner, depth = "", 0
    for token in tokens(text):
        if token.text == ")" and depth == 1:
            return inner.strip()
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth > 1 or (depth == 1 and (inner or token.text != "(")):
            inner += token.text
    return None


_NAME_PART = re.compile(r'"((?:[^"]|"")+)"|([A-Za-z_]\w*)')


def name_of(text: str) -> str:
    """Return a name without quotes; unquoted ones in lower case, no public before."""
    found = [
        quoted.replace('""', '"') if quoted else plain.lower()
        for quoted, plain in _NAME_PART.findall(text)
    ]
    return ".".join(found[1:] if len(found) > 1 and found[0] == "public" else found)


_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(name: str) -> str:
    """Return a name, a dot between its parts, as SQL has it."""
    return ".".join(
        part if _PLAIN.fullmatch(part) and part not in _RESERVED else quote(part)
        for part in name.split(".")
    )


_RESERVED = frozenset(
    """
    all and any array as asc both case cast check column constraint create default desc
    distinct do else end except false for foreign from grant group having in into
    leading limit not null offset on only or order primary references returning select
    some table then to trailing true union unique user using when where window with
    """.split()  # noqa: SIM905
)
