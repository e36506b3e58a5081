"""Parsing pg_dump's output for a schema: one entry per object.

Each entry has a heading from pg_dump, which says what it is, and its SQL.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator
from functools import cached_property

from ...sql.statements import Statement, statements
from ...sql.words import Name, words_of
from ..server.encodings import codec_of

_HEADING = re.compile(
    r"^--\n-- (?:Data for )?Name: (?P<tag>.*); Type: (?P<kind>[A-Z ]+); "
    r"Schema: (?P<schema>.*); Owner: .*\n--\n\n",
    re.MULTILINE,
)
_END = re.compile(r"^--\n-- PostgreSQL database dump complete\n--\n", re.MULTILINE)
_SETTING = re.compile(r"^SET default_\w+ = .*;\n", re.MULTILINE)
_ENCODING = re.compile(rb"^SET client_encoding = '([\w-]+)';$", re.MULTILINE)

EMPTY_VIEW = "-- Held no rows: "
"""Written at the end, before the name of a materialized view WITH NO DATA."""

_ALIKE = {
    "FK CONSTRAINT": "CONSTRAINT",
    "CHECK CONSTRAINT": "CONSTRAINT",
    "DOMAIN": "TYPE",
    "SHELL TYPE": "TYPE",
    "PROCEDURE": "FUNCTION",
    "AGGREGATE": "FUNCTION",
}

KNOWN = frozenset(
    (
        "TABLE",
        "FOREIGN TABLE",
        "VIEW",
        "MATERIALIZED VIEW",
        "SEQUENCE",
        "INDEX",
        "CONSTRAINT",
        "DEFAULT",
        "TRIGGER",
        "RULE",
        "POLICY",
        "STATISTICS",
        "TYPE",
        "FUNCTION",
        "SCHEMA",
        "EXTENSION",
        "PUBLICATION",
        "PUBLICATION TABLE",
        "EVENT TRIGGER",
    )
)
"""The kinds whose existence can be looked up in the catalog; see catalog_keys.py."""

DERIVED = frozenset(
    (
        "COMMENT",
        "ACL",
        "SEQUENCE OWNED BY",
        "TABLE ATTACH",
        "INDEX ATTACH",
        "ROW SECURITY",
        "SECURITY LABEL",
    )
)
"""Parts that belong to an object, and are dropped and created with it."""

AFTER_DATA = frozenset(
    (
        "INDEX",
        "CONSTRAINT",
        "TRIGGER",
        "RULE",
        "POLICY",
        "STATISTICS",
        "INDEX ATTACH",
        "ROW SECURITY",
        "PUBLICATION",
        "PUBLICATION TABLE",
        "EVENT TRIGGER",
        "SUBSCRIPTION",
    )
)
"""What pg_dump puts after the rows: it is faster then, or would change the rows."""

Key = tuple[str, str, str]
"""Kind, schema and name of an object as pg_dump writes them; schema "-" means none."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One object. tag: its name, preceded by that of its table if it has one.

    defines: the name that other entries use for it, with its schema; None: none do.
    settings: what was set just before it, such as the tablespace.
    """

    kind: str
    schema: str
    tag: str
    sql: str
    settings: str = ""

    @property
    def key(self) -> Key:
        return (_ALIKE.get(self.kind, self.kind), self.schema, self.tag)

    @property
    def is_derived(self) -> bool:
        return self.kind in DERIVED

    @property
    def is_after_data(self) -> bool:
        return self.key[0] in AFTER_DATA

    @cached_property
    def statement(self) -> Statement | None:
        """The first statement of its SQL."""
        return next(statements(self.sql), None)

    @cached_property
    def defines(self) -> Name | None:
        if self.kind in ("INDEX", "SEQUENCE"):
            return (self.schema, self.tag)
        if self.statement is None or not self.statement.targets:
            return None
        if self.statement.verb == "CREATE":
            name = self.statement.target
            return name if name[0] and self.key[0] in KNOWN else None
        # An index of that name comes with it: ATTACH and comments use that name.
        rest = self.statement.rest
        if self.kind == "CONSTRAINT" and rest.accept("ADD", "CONSTRAINT"):
            return (self.schema, rest.name()[1])
        return None

    @cached_property
    def _names(self) -> frozenset[Name]:
        return words_of(self.sql).qualified()

    def mentions(self, names: Collection[Name | None]) -> bool:
        """Return whether its SQL contains one of the names."""
        return not self._names.isdisjoint(names)


def decode(content: bytes) -> str:
    """Return a dump as text; bytes that its encoding does not have pass through."""
    return content.decode(codec_of(encoding_of(content)), "surrogateescape")


def encoding_of(content: bytes) -> str:
    """Return the encoding that a dump declares, as PostgreSQL names it."""
    found = _ENCODING.search(content)
    return found[1].decode() if found else "UTF8"


def parse(text: str) -> Iterator[Entry]:
    """Yield the entries of a schema, in order.

    Source: pg_backup_archiver.c, _printTocEntry.
    """
    end = _END.search(text)
    body = text if end is None else text[: end.start()]
    headings = list(_HEADING.finditer(body))
    settings = ""
    if headings:
        settings = "".join(_SETTING.findall(body[: headings[0].start()]))
    for place, heading in enumerate(headings):
        last = place + 1 == len(headings)
        stop = len(body) if last else headings[place + 1].start()
        sql = body[heading.end() : stop]
        yield Entry(heading["kind"], heading["schema"], heading["tag"], sql, settings)
        settings += "".join(_SETTING.findall(sql))
