"""The tokens of SQL: to find a column's name in it, and to write another one."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<operator>::|->>|->|\#>>|\#>|<=|>=|<>|!=|\|\||!~~\*?|~~\*?|@>|<@
      |[-+*/%<>=(),.\[\]])
    """,
    re.VERBOSE,
)


class UnknownSql(ValueError):
    """An expression has something that this grammar does not know."""


@dataclass(frozen=True)
class Token:
    kind: str
    text: str


def tokens(sql: str) -> list[Token]:
    """Return the tokens of an SQL text, spaces included; joined they give it again."""
    found: list[Token] = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None or match.lastgroup is None:
            raise UnknownSql(sql)
        found.append(Token(match.lastgroup, match.group()))
        at = match.end()
    return found


def identifier(token: Token) -> str | None:
    """Return the name that a token is, as PostgreSQL folds it; None for the rest."""
    if token.kind == "word":
        return token.text.lower()
    if token.kind == "quoted":
        return token.text[1:-1].replace('""', '"')
    return None


def mentions(sql: str, name: str) -> bool:
    """Return True if an SQL text names a column, or cannot be read."""
    try:
        parts = tokens(sql)
    except UnknownSql:
        return True
    return any(_is_column(parts, at, name) for at in range(len(parts)))


def rename(sql: str, old: str, new: str) -> str:
    """Return an SQL text with one column named otherwise, as PostgreSQL does it."""
    try:
        parts = tokens(sql)
    except UnknownSql:
        return sql
    quoted = '"' + new.replace('"', '""') + '"'
    return "".join(
        quoted if _is_column(parts, at, old) else part.text
        for at, part in enumerate(parts)
    )


def _is_column(parts: list[Token], at: int, name: str) -> bool:
    """Return True if a token is that column: no type, no function, no table."""
    if identifier(parts[at]) != name:
        return False
    before = [part.text for part in parts[:at] if part.kind != "space"]
    after = [part.text for part in parts[at + 1 :] if part.kind != "space"]
    return before[-1:] != ["::"] and after[:1] not in (["("], ["."])


def escape_colons(sql: str) -> str:
    """Return SQL for `text()`, which takes a colon before a word for a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)
