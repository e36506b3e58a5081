"""The tokens of SQL, cut as PostgreSQL cuts them: the one tokenizer of the package."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*|/\*)
  | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<unicode>[uU]&(?:'(?:[^']|'')*'|"(?:[^"]|"")*"))
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<sign>::|[(),.;:\[\]]
      |(?:(?!--|/\*)[-+*/<>=])*[~!@\#%^&|`?](?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])*
      |(?:(?!--|/\*)[-+*/<>=])*(?!--|/\*)[*/<>=]|[-+])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""An operator of only - + * / < > = does not end in - or +: `a<-1` is a < (-1)."""


class UnknownSql(ValueError):
    """An expression has something that this package does not read."""


@dataclass(frozen=True)
class Token:
    """kind: a group of the pattern; `other` is what SQL does not have."""

    kind: str
    text: str

    @property
    def is_blank(self) -> bool:
        return self.kind in ("space", "comment")

    @property
    def is_literal(self) -> bool:
        return self.kind in ("text", "escaped", "dollar")


def tokens(sql: str) -> list[Token]:
    """Return the tokens of an SQL text, all of them; joined they give it again."""
    found: list[Token] = []
    at = 0
    while match := _TOKEN.match(sql, at):
        end = match.end()
        kind = str(match.lastgroup)
        if match.group() == "/*":
            end = _comment_end(sql, at) or at + 1
            kind = "comment" if end > at + 1 else "sign"
        found.append(Token(kind, sql[at:end]))
        at = end
    return found


_COMMENT_MARK = re.compile(r"/\*|\*/")


def _comment_end(sql: str, at: int) -> int | None:
    """Return where a comment ends that others may stand in; None if it does not."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, at):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return None


def known_tokens(sql: str) -> list[Token]:
    """Return the tokens of an expression. Raises UnknownSql for what is no SQL."""
    found = tokens(sql)
    if any(token.kind in ("other", "unicode") for token in found):
        raise UnknownSql(sql)
    return found


def identifier(token: Token) -> str | None:
    """Return the name that a token is, as PostgreSQL folds it; None for the rest."""
    if token.kind == "word":
        return token.text.lower()
    if token.kind == "quoted":
        return token.text[1:-1].replace('""', '"')
    return None


def value(literal_: Token) -> str:
    """Return what a literal holds; the escapes of E'…' stay."""
    text = literal_.text
    if literal_.kind == "dollar":
        width = text.index("$", 1) + 1
        return text[width:-width]
    return text.partition("'")[2][:-1].replace("''", "'")


def values(sql: str) -> list[str]:
    """Return what the literals in an SQL text hold."""
    return [value(token) for token in tokens(sql) if token.is_literal]


def literal(text: str) -> str:
    """Return a text in the quotes that SQL has for texts."""
    return "'" + text.replace("'", "''") + "'"


def quote(name: str) -> str:
    """Return a name in the quotes that SQL has for names."""
    return '"' + name.replace('"', '""') + '"'


def mentions(sql: str, name: str) -> bool:
    """Return True if an SQL text names a column, or cannot be read."""
    try:
        parts = known_tokens(sql)
    except UnknownSql:
        return True
    return any(_is_column(parts, at, name) for at in range(len(parts)))


def rename(sql: str, old: str, new: str) -> str:
    """Return an SQL text with one column named otherwise, as PostgreSQL does it."""
    try:
        parts = known_tokens(sql)
    except UnknownSql:
        return sql
    return "".join(
        quote(new) if _is_column(parts, at, old) else part.text
        for at, part in enumerate(parts)
    )


def _is_column(parts: list[Token], at: int, name: str) -> bool:
    """Return True if a token is that column: no type, no function, no table."""
    if identifier(parts[at]) != name:
        return False
    before = [part.text for part in parts[:at] if not part.is_blank]
    after = [part.text for part in parts[at + 1 :] if not part.is_blank]
    return before[-1:] != ["::"] and after[:1] not in (["("], ["."])


def escape_colons(sql: str) -> str:
    """Return SQL for `text()`, which takes a colon before a word for a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)
