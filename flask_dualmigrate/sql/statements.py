"""What an SQL statement is and what it names, determined by how it begins.

No I/O. A statement whose beginning PostgreSQL would reject has no kind; nothing is
guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .words import Name, Words, split


@dataclass(frozen=True)
class Statement:
    """A statement, described by how it begins.

    verb: its first keyword. object: what CREATE, DROP, ALTER and the like are about:
    "MATERIALIZED VIEW", "TABLE". options: keywords around these: "UNIQUE", "LOCAL",
    "CONCURRENTLY", "ONLY"; "EXISTS" stands for IF EXISTS and IF NOT EXISTS.
    targets: the names that come next; for CREATE INDEX, that of the table.
    name: for CREATE INDEX, that of the index. words: the whole statement.
    """

    verb: str
    object: str
    options: frozenset[str]
    targets: tuple[Name, ...]
    name: Name | None
    words: Words
    _rest: Words

    @property
    def kind(self) -> str:
        """Verb and object: "CREATE TABLE", "UPDATE"."""
        return f"{self.verb} {self.object}".strip()

    @property
    def target(self) -> Name:
        """The first name. Raises ValueError if there is none."""
        if not self.targets:
            raise ValueError(self.text)
        return self.targets[0]

    @property
    def rest(self) -> Words:
        """What comes after the names, to be read from the left."""
        return self._rest.left()

    @property
    def text(self) -> str:
        return self.words.text


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a text, in order."""
    return map(_read, split(text))


def _read(words: Words) -> Statement:
    rest = words.left()
    verb = rest.take()
    options = rest.skip(*_BEFORE.get(verb, ()))
    object_ = rest.take() if verb in _WITH_OBJECT else ""
    if object_ in _TWO_WORDS:
        object_ += " " + rest.take()
    options |= rest.skip("CONCURRENTLY")
    if rest.accept("IF", "EXISTS") or rest.accept("IF", "NOT", "EXISTS"):
        options |= {"EXISTS"}
    before, name = rest.left(), None
    targets: tuple[Name, ...] = ()
    try:
        if verb == "CREATE" and object_ == "INDEX":
            name = None if rest.next == "ON" else rest.name()
            if not rest.accept("ON"):
                raise ValueError(rest.text)
        if verb in _NAMING and rest.accept(*_NAMING[verb]):
            options |= rest.skip("ONLY")
            targets = rest.names("ONLY")
    except (ValueError, IndexError):
        rest, targets = before, ()
    return Statement(verb, object_, options, targets, name, words, rest)


_BEFORE = {
    "CREATE": (
        *("OR", "REPLACE", "GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED"),
        *("UNIQUE", "CONSTRAINT", "RECURSIVE"),
    ),
    "TRUNCATE": ("TABLE",),
    "LOCK": ("TABLE",),
    "ROLLBACK": ("WORK", "TRANSACTION", "TO"),
}
"""Verb -> keywords that may come next and are not an object."""

_WITH_OBJECT = frozenset({"CREATE", "DROP", "ALTER", "START", "PREPARE"})
_TWO_WORDS = frozenset({"MATERIALIZED", "EVENT", "FOREIGN", "DEFAULT", "TEXT"})
"""First words of two-word objects."""
_NAMING: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("CREATE", "DROP", "ALTER", "TRUNCATE", "UPDATE"), ()),
    **{"INSERT": ("INTO",), "MERGE": ("INTO",), "DELETE": ("FROM",)},
}
"""Verbs that names follow -> the keywords required before the names."""
