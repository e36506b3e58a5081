"""Raw SQL cut into statements and into parts; names as PostgreSQL takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*.*?\*/)
    | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | \$(?P<tag>[A-Za-z_]?\w*)\$.*?\$(?P=tag)\$
    | [A-Za-z0-9_]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)

NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[A-Za-z_]\w*))*'
"""The pattern of a name, with its schema or without."""


def _parts(text: str, separator: str) -> Iterator[str]:
    """Yield what stands between separators, outside of quotes and brackets."""
    part, depth = "", 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if match["comment"]:
            token = " "
        elif token in "([":
            depth += 1
        elif token in ")]":
            depth -= 1
        if token == separator and depth <= 0:
            yield part.strip()
            part = ""
        else:
            part += token
    yield part.strip()


def statements(text: str) -> list[str]:
    """Return the statements of a text, without comments and semicolons."""
    return [part for part in _parts(text, ";") if part]


def at_commas(text: str) -> list[str]:
    """Return the parts of a list."""
    return [part for part in _parts(text, ",") if part]


def in_brackets(text: str) -> str | None:
    """Return what the first brackets of a text hold; None if it has none."""
    start, depth = None, 0
    for match in _TOKEN.finditer(text):
        if match[0] == "(":
            start = match.end() if depth == 0 else start
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if depth == 0 and start is not None:
                return text[start : match.start()].strip()
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
        part
        if _PLAIN.fullmatch(part) and part not in _RESERVED
        else '"' + part.replace('"', '""') + '"'
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
