"""SQL as words, to find out from a statement's beginning what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from .tokens import Token, identifier, tokens, value

Name = tuple[str | None, str]
"""Schema (or None) and name, case-folded as in PostgreSQL."""


class Words:
    """The tokens of a statement, or of part of one, read from the left."""

    def __init__(self, found: Iterable[Token]) -> None:
        self._all = [Token("space", " ") if t.kind == "comment" else t for t in found]
        self._places = [at for at, t in enumerate(self._all) if not t.is_blank]
        self._tokens = [self._all[at] for at in self._places]
        self._at = 0

    @property
    def text(self) -> str:
        """What is left, as it was written, with a space for each comment."""
        return "".join(token.text for token in self._run(self._at, len(self._tokens)))

    def _run(self, start: int, end: int) -> list[Token]:
        """Return tokens and the whitespace between them."""
        if start >= end:
            return []
        return self._all[self._places[start] : self._places[end - 1] + 1]

    def left(self) -> Words:
        """Return what is left, to be read on its own."""
        return Words(self._run(self._at, len(self._tokens)))

    @property
    def next(self) -> str:
        """The next token as a keyword or a sign; empty past the end."""
        return self.key(self._at)

    def take(self) -> str:
        """Read a keyword or a sign, and return it."""
        self._at += 1
        return self.key(self._at - 1)

    def accept(self, *words: str) -> bool:
        """Skip these keywords if exactly these come next."""
        end = self._at + len(words)
        if not self._are_at(self._at, words):
            return False
        self._at = end
        return True

    def key(self, at: int) -> str:
        """Return a token as a keyword or a sign; empty for others and past the end."""
        if not 0 <= at < len(self._tokens):
            return ""
        token = self._tokens[at]
        return token.text.upper() if token.kind in ("word", "sign") else ""

    def skip(self, *words: str) -> frozenset[str]:
        """Skip any of these keywords, and return those that were there."""
        found = set()
        while self.next in words and self.next:
            found.add(self.take())
        return frozenset(found)

    def literal(self) -> str | None:
        """Read a string, if one comes next: LANGUAGE takes a name or a string."""
        token = self._tokens[self._at]
        return value(token) if token.is_literal else None

    def name(self) -> Name:
        """Read `name` or `schema.name`. Raises ValueError if there is none."""
        parts = self.dotted()
        if len(parts) > 2:
            raise ValueError(parts)
        return (parts[0] if len(parts) == 2 else None), parts[-1]

    def dotted(self) -> list[str]:
        """Read identifiers separated by dots."""
        found = [self._identifier()]
        while self.accept("."):
            found.append(self._identifier())
        return found

    def names(self, *before: str) -> tuple[Name, ...]:
        """Read names separated by commas; each may have these keywords before it."""
        self.skip(*before)
        found = [self.name()]
        while self.accept(","):
            self.skip(*before)
            found.append(self.name())
        return tuple(found)

    def _identifier(self) -> str:
        token = self._tokens[self._at]
        self._at += 1
        name = identifier(token)
        if name is None:
            raise ValueError(token.text)
        return name

    def find(self, *words: str) -> bool:
        """Skip past the next occurrence of these keywords outside brackets."""
        at = self._place(lambda at: self._are_at(at, words))
        if at is None:
            return False
        self._at = at + len(words)
        return True

    def says(self, *words: str) -> bool:
        """Return whether what is left has these keywords outside brackets."""
        return self._place(lambda at: self._are_at(at, words)) is not None

    def until(self, *words: str) -> Words:
        """Read at least one token, up to the next of these keywords; return them."""
        start = self._at
        end = self._place(lambda at: at > start and self.key(at) in words)
        self._at = len(self._tokens) if end is None else end
        return Words(self._run(start, self._at))

    def _are_at(self, at: int, words: tuple[str, ...]) -> bool:
        return all(self.key(at + n) == word for n, word in enumerate(words))

    def _place(self, fits: Callable[[int], bool]) -> int | None:
        """Return the next position outside brackets that fits."""
        depth = 0
        for at in range(self._at, len(self._tokens)):
            if depth <= 0 and fits(at):
                return at
            depth += _DEPTHS.get(self._tokens[at].text, 0)
        return None

    def brackets(self) -> Words | None:
        """Skip the next brackets and return what they contain, if there are any."""
        start = self._place(lambda at: self.key(at) == "(")
        if start is None:
            return None
        self._at = start + 1
        end = self._place(lambda at: self.key(at) == ")")
        if end is None:
            return None
        self._at = end + 1
        return Words(self._run(start + 1, end))

    def split(self, separator: str) -> Iterator[Words]:
        """Yield the parts between separators outside brackets, without empty ones."""
        while self._at < len(self._tokens):
            start = self._at
            end = self._place(lambda at: self.key(at) == separator)
            end = len(self._tokens) if end is None else end
            self._at = end + 1
            if start < end:
                yield Words(self._run(start, end))

    def has(self, *words: str) -> bool:
        """Return whether one of these keywords is in what is left."""
        keys = {self.key(at) for at in range(self._at, len(self._tokens))}
        return not keys.isdisjoint(words)

    def calls(self) -> frozenset[str]:
        """Return the names followed by an opening bracket, functions included."""
        return frozenset(
            name
            for at, token in enumerate(self._tokens)
            if self.key(at + 1) == "(" and (name := identifier(token)) is not None
        )

    def identifiers(self) -> frozenset[str]:
        """Return all names, including keywords, case-folded as in PostgreSQL."""
        names = map(identifier, self._tokens)
        return frozenset(name for name in names if name is not None)

    def qualified(self) -> frozenset[Name]:
        """Return all names with a schema, those within literals and code too."""
        found: set[Name] = set()
        for text in self.texts():
            found |= words_of(text).qualified()
        names = [identifier(token) for token in self._tokens]
        for at, (schema, name) in enumerate(zip(names, names[2:], strict=False)):
            if schema and name and self.key(at + 1) == "." != self.key(at - 1):
                found.add((schema, name))
        return frozenset(found)

    def texts(self) -> list[str]:
        """Return the literals in dollar signs or quotes, without the delimiters."""
        return [value(token) for token in self._tokens if token.is_literal]

    @property
    def is_unread(self) -> bool:
        """Whether it has a name or string such as U&"…", whose escapes are not read."""
        return any(token.kind == "unicode" for token in self._tokens)

    def signs(self) -> frozenset[str]:
        """Return the operators' signs, including brackets and commas."""
        return frozenset(t.text for t in self._tokens if t.kind == "sign")

    def writes(self) -> Iterator[tuple[str, Name]]:
        """Yield each INSERT, UPDATE, DELETE and MERGE, anywhere, with its table."""
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
            yield (word if word == "UPDATE" else before), self.name()

    def __str__(self) -> str:
        text = " ".join(token.text for token in self._tokens[:8])
        return text if len(self._tokens) <= 8 else f"{text} …"


_DEPTHS = {"(": 1, "[": 1, ")": -1, "]": -1}


def words_of(text: str) -> Words:
    """Return the words of a text."""
    return Words(tokens(text))


def split(text: str) -> Iterator[Words]:
    """Yield the statements of a text."""
    return words_of(text).split(";")
