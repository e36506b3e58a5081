"""Which tables a script's SQL is about, as far as its text shows. No I/O.

What a statement does depends on its kind; nothing is guessed about an unknown kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from .statements import Statement, statements
from .words import Name

REACHING = frozenset(
    {
        *("setval", "set_config", "lo_import", "lo_unlink", "lo_create", "lo_put"),
        *("lo_from_bytea", "lo_truncate", "lowrite", "query_to_xml", "table_to_xml"),
        *("pg_terminate_backend", "pg_advisory_lock", "txid_current", "ts_stat"),
        *("ts_rewrite", "query_to_xmlschema", "query_to_xml_and_xmlschema", "lowrite"),
        *("cursor_to_xml", "schema_to_xml", "database_to_xml", "lo_export"),
    }
)
"""PostgreSQL's own functions whose effects do not show in a table."""


@dataclasses.dataclass(frozen=True)
class Code:
    """A function. body: its text, without the quotes around it."""

    name: str
    language: str
    body: str


@dataclasses.dataclass(frozen=True)
class Mentioned:
    """What statements are about.

    tables: all that are involved. written: those where rows are inserted, changed or
    removed, so that triggers and foreign keys fire. truncated: there is a TRUNCATE …
    CASCADE. cascaded: those whose dependents are dropped with them, or with a part of
    them. types, indexes: named on their own. functions: called. makes_code: functions,
    triggers or rules are created or dropped; made: the functions. asks: there is a
    query. names, signs: all names and operators where an expression may be evaluated.
    unknown: the beginning of the first statement that is not understood.
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
        names = [field.name for field in dataclasses.fields(self)]
        pairs = ((getattr(self, name), getattr(other, name)) for name in names)
        return Mentioned(
            *(a | b if isinstance(a, frozenset) else a or b for a, b in pairs)
        )

    @property
    def why_unknown(self) -> str | None:
        """Why the text does not show the tables; None if it does."""
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


def mentioned(texts: Iterable[str]) -> Mentioned:
    """Return what all the statements together are about."""
    found = Mentioned()
    for statement in (each for text in texts for each in statements(text)):
        found |= _of(statement)
    return found


def _of(statement: Statement) -> Mentioned:
    """Return what one statement is about."""
    words, verb, kind = statement.words, statement.verb, statement.kind
    unknown = Mentioned(unknown=str(words))
    read = _READERS.get(kind)
    if read is None or words.is_unread:
        return unknown
    if verb == "DROP" and kind != "DROP TABLE" and words.has("CASCADE"):
        return unknown
    try:
        found = read(statement)
    except (ValueError, IndexError):
        return unknown
    if verb in _NOT_EVALUATING or kind in _CODE:
        return found
    names, signs = words.identifiers(), words.signs()
    return dataclasses.replace(found, names=names, signs=signs)


def _nothing(statement: Statement) -> Mentioned:
    return Mentioned()


def _code(statement: Statement) -> Mentioned:
    return Mentioned(makes_code=True)


def _function(statement: Statement) -> Mentioned:
    name, language, rest = statement.target[1], "sql", statement.rest
    body = "\n".join(statement.words.texts()) or str(statement.words)
    if rest.find("LANGUAGE"):
        language = (rest.literal() or rest.name()[1]).lower()
    return Mentioned(makes_code=True, made=frozenset({Code(name, language, body)}))


def _set(statement: Statement) -> Mentioned:
    if statement.words.has("SEARCH_PATH", "SCHEMA", "ROLE", "AUTHORIZATION"):
        raise ValueError
    return Mentioned()


def _rows(statement: Statement) -> Mentioned:
    tables = frozenset(name for _, name in statement.words.writes())
    return Mentioned(tables, tables, functions=statement.words.calls())


def _query(statement: Statement) -> Mentioned:
    found = _rows(statement)
    if not found.tables and statement.rest.has("INTO"):
        raise ValueError
    return dataclasses.replace(found, asks=True)


def _table(statement: Statement) -> Mentioned:
    table = frozenset({statement.target})
    return Mentioned(table, functions=statement.words.calls())


def _alter_table(statement: Statement) -> Mentioned:
    name, rest = statement.target, statement.rest
    if rest.has("ATTACH", "DETACH", "INHERIT", "TABLESPACE", "SCHEMA"):
        raise ValueError
    tables = frozenset({name})
    cascaded = tables if rest.has("CASCADE") else frozenset()
    rest.accept("*")
    if rest.accept("RENAME", "TO"):
        tables |= {(name[0], rest.name()[1])}
    calls = statement.words.calls()
    return Mentioned(tables, cascaded=cascaded, functions=calls)


def _drop_table(statement: Statement) -> Mentioned:
    names = _names(statement)
    cascaded = names if statement.rest.has("CASCADE") else frozenset()
    return Mentioned(names, cascaded=cascaded)


def _truncate(statement: Statement) -> Mentioned:
    tables = _names(statement)
    return Mentioned(tables, tables, truncated=statement.rest.has("CASCADE"))


def _index(statement: Statement) -> Mentioned:
    return Mentioned(indexes=_names(statement))


def _type(statement: Statement) -> Mentioned:
    return Mentioned(types=_names(statement))


def _names(statement: Statement) -> frozenset[Name]:
    return frozenset({statement.target, *statement.targets})


def _alter_sequence(statement: Statement) -> Mentioned:
    """Read the forms in generated scripts; any other form may move the counter."""
    rest = statement.rest
    if rest.has("RESTART", "START", "MINVALUE", "MAXVALUE", "INCREMENT", "CYCLE"):
        raise ValueError
    if rest.accept("OWNED", "BY", "NONE") or rest.accept("AS"):
        return Mentioned()
    if not rest.accept("OWNED", "BY"):
        raise ValueError
    *schema, table, _ = rest.dotted()
    return Mentioned(frozenset({(schema[0] if schema else None, table)}))


def _computed(statement: Statement) -> Mentioned:
    return Mentioned(functions=statement.words.calls())


def _comment(statement: Statement) -> Mentioned:
    rest = statement.rest
    if rest.accept("ON", "TABLE"):
        return Mentioned(frozenset({rest.name()}))
    if not rest.accept("ON", "COLUMN"):
        if not rest.accept("ON"):
            raise ValueError(statement.text)
        return Mentioned()
    first, *more = rest.dotted()
    table = (first, more[0]) if len(more) > 1 else (None, first)
    return Mentioned(frozenset({table}))


_Reader = Callable[[Statement], Mentioned]

_CODE = tuple(
    f"{verb} {kind}"
    for verb in ("CREATE", "DROP", "ALTER")
    for kind in ("FUNCTION", "PROCEDURE", "TRIGGER", "RULE", "AGGREGATE")
)
_NOTHING = (
    *("CREATE TYPE", "CREATE DOMAIN", "CREATE SCHEMA", "CREATE EXTENSION"),
    *("CREATE SEQUENCE", "CREATE COLLATION", "CREATE STATISTICS", "DROP VIEW"),
    *("DROP MATERIALIZED VIEW", "DROP COLLATION", "DROP STATISTICS", "ALTER VIEW"),
    *("ALTER MATERIALIZED VIEW", "RESET", "SHOW", "GRANT", "REVOKE", "LOCK"),
    *("ANALYZE", "VACUUM", "REINDEX", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT"),
    "RELEASE",
)
_NOT_EVALUATING = ("DROP", "COMMENT", "GRANT", "REVOKE")

_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        **dict.fromkeys(_CODE, _code),
        **dict.fromkeys(_NOTHING, _nothing),
        **dict.fromkeys(("CREATE TABLE", "CREATE INDEX"), _table),
        **dict.fromkeys(("CREATE VIEW", "CREATE MATERIALIZED VIEW"), _computed),
        **dict.fromkeys(("CREATE FUNCTION", "CREATE PROCEDURE"), _function),
        **dict.fromkeys(("ALTER TYPE", "DROP TYPE"), _type),
        **dict.fromkeys(("ALTER DOMAIN", "DROP DOMAIN"), _type),
        **dict.fromkeys(("ALTER INDEX", "DROP INDEX"), _index),
        **dict.fromkeys(("INSERT", "UPDATE", "DELETE", "MERGE"), _rows),
        **dict.fromkeys(("WITH", "SELECT"), _query),
        "REFRESH": _computed,
        "SET": _set,
        "ALTER TABLE": _alter_table,
        "DROP TABLE": _drop_table,
        "TRUNCATE": _truncate,
        "ALTER SEQUENCE": _alter_sequence,
        "COMMENT": _comment,
    }
)
