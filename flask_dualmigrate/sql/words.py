"""SQL as words, to read from a statement's begin what it is about."""

from __future__ import annotations

from collections.abc import Iterator

from .tokens import Token, identifier, tokens, value

Name = tuple[str | None, str]
"""Schema (or None) and name, in the case to which PostgreSQL folds them."""


class Words:
    """The tokens of one statement, read from the left."""

    def __init__(self, words: list[Token]) -> None:
        self._tokens = words
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
        token = self._tokens[at]
        return token.text.upper() if token.kind in ("word", "sign") else ""

    def skip(self, *words: str) -> None:
        """Go past any of these keywords."""
        while self.key(self._at) in words and self.key(self._at):
            self._at += 1

    def literal(self) -> str | None:
        """Return what comes next, if it is a text: LANGUAGE takes a name or a text."""
        token = self._tokens[self._at]
        return value(token) if token.is_literal else None

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
        token = self._tokens[self._at]
        self._at += 1
        name = identifier(token)
        if name is None:
            raise ValueError(token.text)
        return name

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
            name
            for at, token in enumerate(self._tokens)
            if self.key(at + 1) == "(" and (name := identifier(token)) is not None
        )

    def identifiers(self) -> frozenset[str]:
        """Return all names, keywords among them, as PostgreSQL folds them."""
        names = map(identifier, self._tokens)
        return frozenset(name for name in names if name is not None)

    def texts(self) -> list[str]:
        """Return the literals between dollar signs or quotes, without these."""
        return [value(token) for token in self._tokens if token.is_literal]

    @property
    def is_unread(self) -> bool:
        """Whether it has a name or a text such as U&"…", whose escapes are not read."""
        return any(token.kind == "unicode" for token in self._tokens)

    def signs(self) -> frozenset[str]:
        """Return the signs of operators, brackets and commas among them."""
        return frozenset(t.text for t in self._tokens if t.kind == "sign")

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
        text = " ".join(token.text for token in self._tokens[:8])
        return text if len(self._tokens) <= 8 else f"{text} …"


def split(text: str) -> Iterator[Words]:
    """Yield the statements of a text."""
    found: list[Token] = []
    for token in tokens(text):
        if token.text == ";":
            if found:
                yield Words(found)
            found = []
        elif not token.is_blank:
            found.append(token)
    if found:
        yield Words(found)
