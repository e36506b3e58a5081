"""Parsing pg_dump's output for a schema: one entry per object.

Each entry has a heading from pg_dump, which says what it is, and its SQL.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from ...sql.tokens import quote
from ..server.encodings import codec_of

_HEADING = re.compile(
    r"^--\n-- (?:Data for )?Name: (?P<tag>.*); Type: (?P<kind>[A-Z ]+); "
    r"Schema: (?P<schema>.*); Owner: .*\n--\n\n",
    re.MULTILINE,
)
_END = re.compile(r"^--\n-- PostgreSQL database dump complete\n--\n", re.MULTILINE)
_SETTING = re.compile(r"^SET default_\w+ = .*;\n", re.MULTILINE)
_ENCODING = re.compile(rb"^SET client_encoding = '([\w-]+)';$", re.MULTILINE)
_NAME = r'(?:"(?:[^"]|"")*"|[^\s".(),;]+)'
_DEFINED = re.compile(
    r"\s*CREATE (?:OR REPLACE )?(?:UNLOGGED |FOREIGN )?"
    r"(?:TABLE|VIEW|MATERIALIZED VIEW|SEQUENCE|TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE"
    rf"|STATISTICS) (?P<name>{_NAME}\.{_NAME})"
)
_CONSTRAINT = re.compile(rf"\bADD CONSTRAINT (?P<name>{_NAME}) ")
_IDENTITY = re.compile(rf"\bSEQUENCE NAME (?P<name>{_NAME}\.{_NAME})")

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

    defines: the name that other entries use for it, quoted and with its schema; None:
    none do. settings: what was set just before it, such as the tablespace.
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

    @property
    def defines(self) -> str | None:
        found = _DEFINED.match(self.sql)
        if found is None and self.kind == "SEQUENCE":
            found = _IDENTITY.search(self.sql)
        if found is not None:
            return found["name"]
        if self.kind == "INDEX":
            return self._beside(self.tag)
        if self.kind == "CONSTRAINT":
            # An index of that name comes with it: ATTACH and comments use that name.
            named = _CONSTRAINT.search(self.sql)
            return self._beside(unquoted(named["name"])) if named else None
        return None

    def _beside(self, name: str) -> str:
        schema = quoted_like(self.schema, self.sql)
        return f"{schema}.{quoted_like(name, self.sql)}"

    def mentions(self, names: re.Pattern[str]) -> bool:
        """Return whether its SQL contains one of the names; see `any_of`."""
        return names.search(self.sql) is not None


def quoted_like(name: str, sql: str) -> str:
    """Return a name quoted as in a statement."""
    return quote(name) if quote(name) in sql else name


def unquoted(name: str) -> str:
    """Return a name without the quotes that a statement may put around it."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name


def any_of(names: list[str]) -> re.Pattern[str]:
    """Return a pattern that finds one of some names, quoted and with their schemas."""
    if not names:
        return re.compile(r"(?!)")
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf'(?<![\w$".])(?:{"|".join(longest_first)})(?![\w$"])')


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
