"""Which tables the SQL of a script is about, as far as its text tells. Pure.

A statement is told by how it begins; one that is not known here is not guessed at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from .words import Name, Words, split

REACHING = frozenset(
    {
        *("setval", "set_config", "lo_import", "lo_unlink", "lo_create", "lo_put"),
        *("lo_from_bytea", "lo_truncate", "lowrite", "query_to_xml", "table_to_xml"),
        *("pg_terminate_backend", "pg_advisory_lock", "txid_current", "ts_stat"),
        *("ts_rewrite", "query_to_xmlschema", "query_to_xml_and_xmlschema", "lowrite"),
        *("cursor_to_xml", "schema_to_xml", "database_to_xml", "lo_export"),
    }
)
"""PostgreSQL's own functions with effects that no table shows."""


@dataclasses.dataclass(frozen=True)
class Code:
    """A function. body: its text, without quotes."""

    name: str
    language: str
    body: str


@dataclasses.dataclass(frozen=True)
class Mentioned:
    """What statements are about.

    tables: in any way. written: rows are inserted, changed or removed, so that
    triggers and foreign keys act. truncated: CASCADE of TRUNCATE is among it.
    cascaded: what depends on these is dropped with them, or with a part of them.
    types, indexes: named on their own. functions: called. makes_code: functions,
    triggers or rules are made or dropped; made: the functions. asks: there is a query.
    names, signs: all names and operators in what may evaluate an expression.
    unknown: the begin of the first statement that is not understood.
    unsaid: why these are not all the statements; None if they are.
    """

    tables: frozenset[Name] = frozenset()
    written: frozenset[Name] = frozenset()
    truncated: bool = False
    types: frozenset[Name] = frozenset()
    indexes: frozenset[Name] = frozenset()
    cascaded: frozenset[Name] = frozenset()
    functions: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    signs: frozenset[str] = frozenset()
    makes_code: bool = False
    made: frozenset[Code] = frozenset()
    asks: bool = False
    unknown: str | None = None
    unsaid: str | None = None

    def __or__(self, other: Mentioned) -> Mentioned:
        return Mentioned(
            self.tables | other.tables,
            self.written | other.written,
            self.truncated or other.truncated,
            self.types | other.types,
            self.indexes | other.indexes,
            self.cascaded | other.cascaded,
            self.functions | other.functions,
            self.names | other.names,
            self.signs | other.signs,
            self.makes_code or other.makes_code,
            self.made | other.made,
            self.asks or other.asks,
            self.unknown or other.unknown,
            self.unsaid or other.unsaid,
        )

    @property
    def why_unknown(self) -> str | None:
        """Why the tables cannot be told from the text; None if they can."""
        if self.unsaid is not None:
            return self.unsaid
        if self.unknown is not None:
            return f"a statement could not be parsed: {self.unknown}"
        reaching = sorted(self.functions & REACHING)
        if reaching:
            return f"{reaching[0]}() is called"
        if self.makes_code and (self.written or self.asks):
            return "functions or triggers are created, and may be called"
        return None


def mentioned(statements: Iterable[str]) -> Mentioned:
    """Return what statements are about, all together."""
    found = Mentioned()
    for text in statements:
        for words in split(text):
            found |= _of(words)
    return found


def _of(words: Words) -> Mentioned:
    """Return what one statement is about."""
    if words.is_unread:
        return Mentioned(unknown=str(words))
    for head, read in _READERS.items():
        if words.accept(*head.split()):
            verb, kind = f"{head} ".split(" ")[:2]
            if verb == "DROP" and kind != "TABLE" and words.has("CASCADE"):
                break
            try:
                found = read(words)
            except (ValueError, IndexError):
                break
            if verb in _NOT_EVALUATING or head in _CODE:
                return found
            names, signs = words.identifiers(), words.signs()
            return dataclasses.replace(found, names=names, signs=signs)
    return Mentioned(unknown=str(words))


def _nothing(words: Words) -> Mentioned:
    return Mentioned()


def _code(words: Words) -> Mentioned:
    return Mentioned(makes_code=True)


def _function(words: Words) -> Mentioned:
    name, language = words.name()[1], "sql"
    body = "\n".join(words.texts()) or str(words)
    if words.find("LANGUAGE"):
        language = (words.literal() or words.name()[1]).lower()
    return Mentioned(makes_code=True, made=frozenset({Code(name, language, body)}))


def _set(words: Words) -> Mentioned:
    if words.has("SEARCH_PATH", "SCHEMA", "ROLE", "AUTHORIZATION"):
        raise ValueError
    return Mentioned()


def _rows(words: Words) -> Mentioned:
    tables = frozenset(words.writes())
    return Mentioned(tables, tables, functions=words.calls())


def _query(words: Words) -> Mentioned:
    found = _rows(words)
    if not found.tables and words.key(0) in ("SELECT", "WITH") and words.has("INTO"):
        raise ValueError
    return dataclasses.replace(found, asks=True)


def _create_table(words: Words) -> Mentioned:
    words.accept("IF", "NOT", "EXISTS")
    return Mentioned(frozenset({words.name()}), functions=words.calls())


def _alter_table(words: Words) -> Mentioned:
    words.accept("IF", "EXISTS")
    words.skip("ONLY")
    name = words.name()
    words.accept("*")
    if words.has("ATTACH", "DETACH", "INHERIT", "TABLESPACE", "SCHEMA"):
        raise ValueError
    tables, calls = frozenset({name}), words.calls()
    cascaded = tables if words.has("CASCADE") else frozenset()
    if words.accept("RENAME", "TO"):
        tables |= {(name[0], words.name()[1])}
    return Mentioned(tables, cascaded=cascaded, functions=calls)


def _drop_table(words: Words) -> Mentioned:
    words.accept("IF", "EXISTS")
    names = words.names()
    return Mentioned(names, cascaded=names if words.has("CASCADE") else frozenset())


def _truncate(words: Words) -> Mentioned:
    words.skip("TABLE")
    words.skip("ONLY")
    tables = words.names()
    return Mentioned(tables, tables, truncated=words.has("CASCADE"))


def _create_index(words: Words) -> Mentioned:
    calls = words.calls()
    if not words.find("ON"):
        raise ValueError
    words.skip("ONLY")
    return Mentioned(frozenset({words.name()}), functions=calls)


def _index(words: Words) -> Mentioned:
    words.skip("CONCURRENTLY")
    words.accept("IF", "EXISTS")
    return Mentioned(indexes=words.names())


def _type(words: Words) -> Mentioned:
    words.accept("IF", "EXISTS")
    return Mentioned(types=words.names())


def _alter_sequence(words: Words) -> Mentioned:
    """Read what generated scripts say; what else it can say may move the counter."""
    if words.has("RESTART", "START", "MINVALUE", "MAXVALUE", "INCREMENT", "CYCLE"):
        raise ValueError
    words.accept("IF", "EXISTS")
    words.name()
    if words.accept("OWNED", "BY", "NONE") or words.accept("AS"):
        return Mentioned()
    if not words.accept("OWNED", "BY"):
        raise ValueError
    *schema, table, _ = words.dotted()
    return Mentioned(frozenset({(schema[0] if schema else None, table)}))


def _computed(words: Words) -> Mentioned:
    return Mentioned(functions=words.calls())


def _comment(words: Words) -> Mentioned:
    if words.accept("TABLE"):
        return Mentioned(frozenset({words.name()}))
    if not words.accept("COLUMN"):
        return Mentioned()
    first, *rest = words.dotted()
    table = (first, rest[0]) if len(rest) > 1 else (None, first)
    return Mentioned(frozenset({table}))


_Reader = Callable[[Words], Mentioned]

_COMPUTED = (
    *("CREATE VIEW", "CREATE OR REPLACE VIEW", "CREATE MATERIALIZED VIEW"),
    "REFRESH MATERIALIZED VIEW",
)
_NOTHING = (
    *("CREATE TYPE", "CREATE DOMAIN", "CREATE SCHEMA", "CREATE EXTENSION"),
    *("CREATE SEQUENCE", "CREATE COLLATION", "CREATE STATISTICS", "DROP VIEW"),
    *("DROP MATERIALIZED VIEW", "DROP COLLATION", "DROP STATISTICS", "ALTER VIEW"),
    *("ALTER MATERIALIZED VIEW", "RESET", "SHOW", "GRANT", "REVOKE", "LOCK"),
    *("ANALYZE", "VACUUM", "REINDEX", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT"),
    "RELEASE",
)
_CODE = tuple(
    f"{verb} {kind}"
    for verb in ("CREATE", "CREATE OR REPLACE", "DROP", "ALTER")
    for kind in ("FUNCTION", "PROCEDURE", "TRIGGER", "RULE", "AGGREGATE")
)
_MADE = tuple(
    head
    for head in _CODE
    if head.startswith("CREATE") and head.endswith(("FUNCTION", "PROCEDURE"))
)
_NOT_EVALUATING = ("DROP", "COMMENT", "GRANT", "REVOKE")

# The longer head first: the first one that fits is taken.
_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "CREATE TABLE": _create_table,
        "CREATE UNLOGGED TABLE": _create_table,
        "CREATE TEMPORARY TABLE": _create_table,
        "CREATE TEMP TABLE": _create_table,
        "ALTER TABLE": _alter_table,
        "DROP TABLE": _drop_table,
        "TRUNCATE": _truncate,
        "CREATE UNIQUE INDEX": _create_index,
        "CREATE INDEX": _create_index,
        "ALTER INDEX": _index,
        "DROP INDEX": _index,
        "ALTER TYPE": _type,
        "DROP TYPE": _type,
        "ALTER DOMAIN": _type,
        "ALTER SEQUENCE": _alter_sequence,
        "DROP DOMAIN": _type,
        "COMMENT ON": _comment,
        "INSERT": _rows,
        "UPDATE": _rows,
        "DELETE": _rows,
        "MERGE": _rows,
        "WITH": _query,
        "SELECT": _query,
        "SET": _set,
        **dict.fromkeys(_COMPUTED, _computed),
        **dict.fromkeys(_CODE, _code),
        **dict.fromkeys(_MADE, _function),
        **dict.fromkeys(_NOTHING, _nothing),
    }
)
