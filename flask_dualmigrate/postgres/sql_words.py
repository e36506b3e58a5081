"""SQL as words, to read from a statement's begin what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator

Name = tuple[str | None, str]
"""Schema, or None, and name, as PostgreSQL folds them."""

_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<text>[eE]'(?:[^'\\]|\\.|'')*'|[bBxXnN]?'(?:[^']|'')*'
      |\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<word>[^\W\d][\w$]*)
  | (?P<sign>[\d.]+|[-+*/<>=~!@\#%^&|`?]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Words:
    """The tokens of one statement, read from the left."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def accept(self, *words: str) -> bool:
        """Go past keywords, if just these come next."""
        end = self._at + len(words)
        if [self.key(n) for n in range(self._at, end)] != list(words):
            return False
        self._at = end
        return True

    def key(self, at: int) -> str:
        """Return a token as a keyword or a sign; empty past the end, and for others."""
        if not 0 <= at < len(self._tokens):
            return ""
        kind, text = self._tokens[at]
        return text.upper() if kind in ("word", "sign") else ""

    def skip(self, *words: str) -> None:
        """Go past any of these keywords."""
        while self.key(self._at) in words and self.key(self._at):
            self._at += 1

    def literal(self) -> str | None:
        """Return what comes next, if it is a text: LANGUAGE takes a name or a text."""
        kind, text = self._tokens[self._at]
        return text.strip("'") if kind == "text" else None

    def name(self) -> Name:
        """Read `name` or `schema.name`. Raises ValueError where there is none."""
        parts = self.dotted()
        if len(parts) > 2:
            raise ValueError(parts)
        return (parts[0] if len(parts) == 2 else None), parts[-1]

    def dotted(self) -> list[str]:
        """Read identifiers with dots between."""
        found = [self._identifier()]
        while self.key(self._at) == ".":
            self._at += 1
            found.append(self._identifier())
        return found

    def names(self) -> frozenset[Name]:
        """Read a list of names, with commas between."""
        found = [self.name()]
        while self.key(self._at) == ",":
            self._at += 1
            found.append(self.name())
        return frozenset(found)

    def _identifier(self) -> str:
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "quoted":
            return text[1:-1].replace('""', '"')
        if kind != "word":
            raise ValueError(text)
        return text.lower()

    def find(self, word: str) -> bool:
        """Go past the next place where a keyword stands."""
        for at in range(self._at, len(self._tokens)):
            if self.key(at) == word:
                self._at = at + 1
                return True
        return False

    def has(self, *words: str) -> bool:
        """Return whether one of these keywords stands in what is left."""
        keys = {self.key(at) for at in range(self._at, len(self._tokens))}
        return not keys.isdisjoint(words)

    def calls(self) -> frozenset[str]:
        """Return the names that an opening bracket follows, functions among them."""
        return frozenset(
            text.lower() if kind == "word" else text[1:-1].replace('""', '"')
            for at, (kind, text) in enumerate(self._tokens)
            if kind in ("word", "quoted") and self.key(at + 1) == "("
        )

    def identifiers(self) -> frozenset[str]:
        """Return all names, keywords among them, as PostgreSQL folds them."""
        return frozenset(
            text.lower() if kind == "word" else text[1:-1].replace('""', '"')
            for kind, text in self._tokens
            if kind in ("word", "quoted")
        )

    def texts(self) -> list[str]:
        """Return the literals between dollar signs or quotes, without these."""
        texts = [text for kind, text in self._tokens if kind == "text"]
        return [
            text.partition("$")[2]
            .partition("$")[2]
            .rpartition("$")[0]
            .rpartition("$")[0]
            if text.startswith("$")
            else text.partition("'")[2][:-1].replace("''", "'")
            for text in texts
        ]

    def signs(self) -> frozenset[str]:
        """Return the signs of operators; those side by side are told as one."""
        return frozenset(text for kind, text in self._tokens if kind == "sign")

    def writes(self) -> Iterator[Name]:
        """Yield the tables that INSERT, UPDATE, DELETE or MERGE names, anywhere."""
        for at in range(len(self._tokens)):
            word, before = self.key(at), self.key(at - 1)
            if (
                (word == "UPDATE" and before not in ("FOR", "DO", "ON", "KEY", "THEN"))
                or (word == "INTO" and before in ("INSERT", "MERGE"))
                or (word == "FROM" and before == "DELETE")
            ):
                self._at = at + 1
            else:
                continue
            self.skip("ONLY")
            yield self.name()

    def __str__(self) -> str:
        text = " ".join(text for _, text in self._tokens[:8])
        return text if len(self._tokens) <= 8 else f"{text} …"


_MISREAD = re.compile(r"\bU&[\"\']|/\*(?:(?!\*/).)*/\*", re.IGNORECASE | re.DOTALL)


def is_misread(text: str) -> bool:
    """Return whether it has a U&"…" name or a nested comment: not read here."""
    return _MISREAD.search(text) is not None


def split(text: str) -> Iterator[Words]:
    """Yield the statements of a text."""
    tokens: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(text):
        kind = "text" if match.lastgroup == "tag" else str(match.lastgroup)
        if kind == "sign" and match.group() == ";":
            if tokens:
                yield Words(tokens)
            tokens = []
        elif kind != "skip":
            tokens.append((kind, match.group()))
    if tokens:
        yield Words(tokens)
