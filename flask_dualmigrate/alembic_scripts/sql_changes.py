"""Raw SQL as changes, depending on the kind of each statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ..sql.names import full_name
from ..sql.statements import Statement, statements
from ..sql.words import Words
from .change import Change

Facts = dict[str, Any]
_Reader = Callable[[Statement], Iterator[Facts]]


def changes_of_sql(text: str) -> Iterator[Change]:
    """Yield what raw SQL does; the verb is "raw" for what is not understood."""
    for statement in statements(text):
        for facts in _facts(statement):
            yield Change(sql=statement.text, **facts)


def _facts(statement: Statement) -> list[Facts]:
    read = _READERS.get(statement.kind)
    if read is None:
        return [{"verb": "other" if statement.kind in _HARMLESS else "raw"}]
    try:
        return [*read(statement)]
    except (ValueError, IndexError):
        return [{"verb": "raw"}]


def _there(statement: Statement) -> bool:
    return "EXISTS" in statement.options


def _create_index(statement: Statement) -> Iterator[Facts]:
    table, rest = full_name(statement.target), statement.rest
    columns = _texts(rest.brackets())
    yield {
        "verb": "create_index",
        "table": table,
        "name": full_name(statement.name) if statement.name else None,
        "columns": columns,
        "where": rest.text if rest.find("WHERE") else None,
        "unique": "UNIQUE" in statement.options,
        "concurrently": "CONCURRENTLY" in statement.options,
        "repeatable": _there(statement),
    }


def _texts(inner: Words | None) -> tuple[str, ...]:
    return () if inner is None else tuple(part.text for part in inner.split(","))


def _columns(inner: Words | None) -> tuple[str, ...]:
    return () if inner is None else tuple(part.dotted()[0] for part in inner.split(","))


def _reindex(statement: Statement) -> Iterator[Facts]:
    concurrently = statement.words.has("CONCURRENTLY")
    verb = "other" if concurrently else "reindex"
    yield {"verb": verb, "concurrently": concurrently, "repeatable": True}


def _create_table(statement: Statement) -> Iterator[Facts]:
    table, rest = full_name(statement.target), statement.rest
    yield {"verb": "create_table", "table": table, "repeatable": _there(statement)}
    inner = rest.brackets() if rest.next == "(" else None
    for part in inner.split(",") if inner else ():
        if part.next not in _TABLE_CONSTRAINTS:
            yield {"verb": "column", "table": table, **_column(part)}


_TABLE_CONSTRAINTS = frozenset(
    {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE", "LIKE"}
)
_OF_COLUMN = ("NOT", "NULL", "PRIMARY", "UNIQUE", "REFERENCES", "CHECK", "CONSTRAINT")


def _column(words: Words) -> Facts:
    """Read a column's definition."""
    column = words.name()[1]
    type_ = words.until(*_OF_COLUMN, "DEFAULT", "COLLATE", "GENERATED").text
    rest, default = words.left(), words.left()
    computed = rest.says("BY", "DEFAULT") or not default.find("DEFAULT")
    is_key = rest.says("PRIMARY", "KEY")
    return {
        "column": column,
        "type_": _type(type_),
        "nullable": not (is_key or rest.says("NOT", "NULL")),
        "default": None if computed else default.until(*_OF_COLUMN).text or None,
        "primary_key": is_key,
        "generated": rest.says("GENERATED"),
    }


def _type(text: str) -> str:
    return " ".join(text.lower().split())


def _each(verb: str, key: str = "name") -> _Reader:
    """Make a reader for a statement that does the same to each of its targets."""

    def read(statement: Statement) -> Iterator[Facts]:
        for name in statement.targets or (statement.target,):
            yield {
                "verb": verb,
                key: full_name(name),
                "concurrently": "CONCURRENTLY" in statement.options,
                "repeatable": _there(statement),
            }

    return read


def _insert(statement: Statement) -> Iterator[Facts]:
    verb = "insert_select" if statement.words.has("SELECT") else "insert"
    yield {"verb": verb, "table": full_name(statement.target)}


def _with(statement: Statement) -> Iterator[Facts]:
    verbs = {"UPDATE": "update", "DELETE": "delete", "INSERT": "insert_select"}
    for verb, table in statement.words.writes():
        yield {"verb": verbs.get(verb, "raw"), "table": full_name(table)}
        return
    yield {"verb": "other"}


def _transaction(statement: Statement) -> Iterator[Facts]:
    yield {"verb": "other" if "TO" in statement.options else "transaction"}


def _set(statement: Statement) -> Iterator[Facts]:
    rest = statement.rest
    rest.skip("LOCAL", "SESSION")
    if rest.accept("LOCK_TIMEOUT"):
        yield {"verb": "lock_timeout", "repeatable": True}
        return
    zoned = rest.accept("TIME", "ZONE") or rest.accept("TIMEZONE")
    rest.skip("=", "TO")
    utc = zoned and (rest.literal() or rest.text).upper() == "UTC"
    yield {"verb": "utc", "repeatable": True} if utc else {"verb": "other"}


def _alter_type(statement: Statement) -> Iterator[Facts]:
    name, rest = full_name(statement.target), statement.rest
    if rest.accept("ADD", "VALUE"):
        yield {"verb": "add_enum_value", "name": name, "repeatable": _exists(rest)}
    elif rest.accept("RENAME", "TO"):
        yield {"verb": "rename_type", "column": name, "name": full_name(rest.name())}
    else:
        yield {"verb": "other"}


def _exists(words: Words) -> bool:
    return words.accept("IF", "EXISTS") or words.accept("IF", "NOT", "EXISTS")


def _alter_table(statement: Statement) -> Iterator[Facts]:
    table, rest = full_name(statement.target), statement.rest
    rest.accept("*")
    for action in rest.left().split(","):
        try:
            found = [*_action(action)]
        except (ValueError, IndexError):
            found = [{"verb": "alter_table"}]
        for facts in found:
            yield {"table": table, **facts}


def _action(words: Words) -> Iterator[Facts]:
    """Read one of the actions of ALTER TABLE."""
    match words.take():
        case "RENAME":
            yield _rename(words)
        case "VALIDATE" if words.accept("CONSTRAINT"):
            yield {"verb": "validate", "name": words.name()[1]}
        case "DROP":
            key = "constraint" if words.accept("CONSTRAINT") else "column"
            words.accept("COLUMN")
            there = _exists(words)
            name = {"name" if key == "constraint" else key: words.name()[1]}
            yield {"verb": f"drop_{key}", "repeatable": there, **name}
        case "ADD" if words.next in _TABLE_CONSTRAINTS:
            yield _add_constraint(words)
        case "ADD":
            yield from _add_column(words)
        case "ALTER" if words.next != "CONSTRAINT":
            yield _alter_column(words)
        case _:
            yield {"verb": "alter_table"}


def _rename(words: Words) -> Facts:
    if words.accept("TO"):
        return {"verb": "rename_table", "name": full_name(words.name())}
    if words.accept("CONSTRAINT"):
        return {"verb": "other"}
    words.accept("COLUMN")
    column, to = words.name()[1], words.take()
    if to != "TO":
        raise ValueError(to)
    return {"verb": "rename_column", "column": column, "name": words.name()[1]}


def _add_column(words: Words) -> Iterator[Facts]:
    words.accept("COLUMN")
    there = _exists(words)
    rest = words.left()
    found = _column(words)
    yield {"verb": "add_column", "repeatable": there, **found}
    column = found["column"]
    refers = rest.left()
    if refers.find("REFERENCES"):
        # PostgreSQL checks nothing if the column is null in all rows.
        yield {
            "verb": "add_foreign_key",
            "columns": (column,),
            "referred": full_name(refers.name()),
            "not_valid": found["default"] is None,
        }
    if rest.says("UNIQUE") or rest.says("PRIMARY", "KEY"):
        yield {"verb": "add_unique", "columns": (column,)}
    if rest.find("CHECK") and (inner := rest.brackets()):
        yield {"verb": "add_check", "column": column, "check": inner.text}


def _add_constraint(words: Words) -> Facts:
    name = words.name()[1] if words.accept("CONSTRAINT") else None
    kind = words.take()
    words.accept("KEY")
    using = words.accept("USING", "INDEX")
    facts: Facts = {
        "name": name,
        "not_valid": words.says("NOT", "VALID"),
        "using_index": using,
    }
    inner = words.brackets()
    if kind == "CHECK":
        return {"verb": "add_check", "check": inner.text if inner else "", **facts}
    if kind == "FOREIGN":
        columns, refers = _columns(inner), words.find("REFERENCES")
        facts["referred"] = full_name(words.name()) if refers else None
        referred = words.brackets() if refers and words.next == "(" else None
        facts["referred_columns"] = _columns(referred)
        return {"verb": "add_foreign_key", "columns": columns, **facts}
    if kind == "EXCLUDE":
        return {"verb": "add_exclude", "columns": _texts(inner), **facts}
    verb = {"UNIQUE": "add_unique", "PRIMARY": "add_primary_key"}[kind]
    return {"verb": verb, "columns": () if using else _columns(inner), **facts}


def _alter_column(words: Words) -> Facts:
    words.accept("COLUMN")
    column = words.name()[1]
    if words.accept("SET", "NOT", "NULL"):
        return {"verb": "set_not_null", "column": column}
    if not (words.accept("TYPE") or words.accept("SET", "DATA", "TYPE")):
        return {"verb": "alter_column", "column": column}
    type_ = _type(words.until("COLLATE", "USING").text)
    using = words.text if words.find("USING") else None
    return {"verb": "alter_type", "column": column, "type_": type_, "using": using}


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "CREATE INDEX": _create_index,
        "CREATE TABLE": _create_table,
        "CREATE TYPE": _each("create_type"),
        "ALTER TABLE": _alter_table,
        "ALTER TYPE": _alter_type,
        "DROP INDEX": _each("drop_index"),
        "DROP TABLE": _each("drop_table", "table"),
        "DROP SCHEMA": _each("drop_schema"),
        "DROP DATABASE": _each("drop_schema"),
        "DROP TYPE": _each("drop_type"),
        "TRUNCATE": _each("truncate", "table"),
        "DELETE": _each("delete", "table"),
        "UPDATE": _each("update", "table"),
        "INSERT": _insert,
        "WITH": _with,
        "REINDEX": _reindex,
        "SET": _set,
        **dict.fromkeys(
            (
                *("COMMIT", "ROLLBACK", "ABORT", "BEGIN", "END", "START TRANSACTION"),
                "PREPARE TRANSACTION",
            ),
            _transaction,
        ),
    }
)

_HARMLESS = frozenset(
    """
    SELECT SHOW EXPLAIN VALUES RESET GRANT REVOKE COMMENT ANALYZE ANALYSE SAVEPOINT
    RELEASE NOTIFY LISTEN LOCK REFRESH
    """.split()  # noqa: SIM905
) | {
    f"{verb} {object_}".replace("_", " ")
    for verb, objects in {
        "CREATE": """EXTENSION SCHEMA SEQUENCE FUNCTION PROCEDURE VIEW TRIGGER POLICY
            MATERIALIZED_VIEW EVENT_TRIGGER ROLE USER DOMAIN STATISTICS COLLATION
            AGGREGATE OPERATOR RULE PUBLICATION SUBSCRIPTION CAST TEXT_SEARCH SERVER
            FOREIGN_TABLE FOREIGN_DATA""",
        "ALTER": """EXTENSION SCHEMA SEQUENCE FUNCTION VIEW MATERIALIZED_VIEW TRIGGER
            POLICY ROLE USER DOMAIN DEFAULT_PRIVILEGES INDEX DATABASE PUBLICATION
            STATISTICS COLLATION""",
        "DROP": """EXTENSION SEQUENCE FUNCTION PROCEDURE VIEW MATERIALIZED_VIEW TRIGGER
            POLICY ROLE USER DOMAIN STATISTICS COLLATION AGGREGATE RULE PUBLICATION
            EVENT_TRIGGER""",
    }.items()
    for object_ in objects.split()
}
