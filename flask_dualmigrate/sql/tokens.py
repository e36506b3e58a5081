"""The package's only SQL tokenizer; it splits as PostgreSQL does."""

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
"""An operator made only of - + * / < > = cannot end in - or +: `a<-1` is a < (-1)."""


class UnknownSql(ValueError):
    """An expression contains something that this package cannot read."""


@dataclass(frozen=True)
class Token:
    """kind: a group of the pattern; `other` is anything that is not SQL."""

    kind: str
    text: str

    @property
    def is_blank(self) -> bool:
        return self.kind in ("space", "comment")

    @property
    def is_literal(self) -> bool:
        return self.kind in ("text", "escaped", "dollar")


def tokens(sql: str) -> list[Token]:
    """Return all tokens of an SQL text; joined together they are the text again."""
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
    """Return where a comment, maybe with nested ones, ends; None if it does not."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, at):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return None


def known_tokens(sql: str) -> list[Token]:
    """Return the tokens of an expression. Raises UnknownSql for what is not SQL."""
    found = tokens(sql)
    if any(token.kind in ("other", "unicode") for token in found):
        raise UnknownSql(sql)
    return found


def identifier(token: Token) -> str | None:
    """Return a token's name, case-folded like PostgreSQL; None if it is not a name."""
    if token.kind == "word":
        return token.text.lower()
    if token.kind == "quoted":
        return token.text[1:-1].replace('""', '"')
    return None


def value(literal_: Token) -> str:
    """Return what a literal contains; the escapes of E'…' are kept."""
    text = literal_.text
    if literal_.kind == "dollar":
        width = text.index("$", 1) + 1
        return text[width:-width]
    return text.partition("'")[2][:-1].replace("''", "'")


def values(sql: str) -> list[str]:
    """Return what the literals in an SQL text contain."""
    return [value(token) for token in tokens(sql) if token.is_literal]


def literal(text: str) -> str:
    """Return a string as an SQL literal, with quotes."""
    return "'" + text.replace("'", "''") + "'"


def quote(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def mentions(sql: str, name: str) -> bool:
    """Return True if an SQL text names a column, or cannot be read."""
    try:
        parts = known_tokens(sql)
    except UnknownSql:
        return True
    return any(_is_column(parts, at, name) for at in range(len(parts)))


def rename(sql: str, old: str, new: str) -> str:
    """Return an SQL text with one column renamed, as PostgreSQL does it."""
    try:
        parts = known_tokens(sql)
    except UnknownSql:
        return sql
    return "".join(
        quote(new) if _is_column(parts, at, old) else part.text
        for at, part in enumerate(parts)
    )


def _is_column(parts: list[Token], at: int, name: str) -> bool:
    """Return True if a token is that column, not a type, function or table."""
    if identifier(parts[at]) != name:
        return False
    before = [part.text for part in parts[:at] if not part.is_blank]
    after = [part.text for part in parts[at + 1 :] if not part.is_blank]
    return before[-1:] != ["::"] and after[:1] not in (["("], ["."])


def escape_colons(sql: str) -> str:
    """Return SQL for `text()`, which reads a colon before a word as a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)
