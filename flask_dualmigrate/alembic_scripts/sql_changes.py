"""Raw SQL as changes: by how each statement begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ..sql.statements import NAME, at_commas, in_brackets, name_of, statements
from .change import Change

Match = re.Match[str]
Facts = dict[str, Any]


def changes_of_sql(text: str) -> Iterator[Change]:
    """Yield what raw SQL does; what cannot be told has the verb "raw"."""
    for statement in statements(text):
        yield from _changes(statement)


def _changes(statement: str) -> Iterator[Change]:
    for pattern, read in _STATEMENTS:
        match = pattern.match(statement)
        if match is not None:
            for facts in read(match, statement):
                yield Change(sql=statement, **facts)
            return
    verb = "other" if _HARMLESS.match(statement) else "raw"
    yield Change(verb=verb, sql=statement)


def _flag(match: Match, group: str) -> bool:
    return bool(match[group])


def _create_index(match: Match, statement: str) -> Iterator[Facts]:
    rest = statement[match.end() :]
    where = re.search(r"\bWHERE\b(.*)", rest, re.IGNORECASE | re.DOTALL)
    yield {
        "verb": "create_index",
        "table": name_of(match["table"]),
        "name": name_of(match["name"] or "") or None,
        "columns": tuple(at_commas(in_brackets(rest) or "")),
        "where": where[1].strip() if where else None,
        "unique": _flag(match, "unique"),
        "concurrently": _flag(match, "concurrently"),
        "repeatable": _flag(match, "there"),
    }


def _drop_index(match: Match, statement: str) -> Iterator[Facts]:
    for name in at_commas(statement[match.end() :]):
        yield {
            "verb": "drop_index",
            "name": name_of(name.split()[0]),
            "concurrently": _flag(match, "concurrently"),
            "repeatable": _flag(match, "there"),
        }


def _reindex(match: Match, statement: str) -> Iterator[Facts]:
    concurrently = "CONCURRENTLY" in statement.upper()
    verb = "other" if concurrently else "reindex"
    yield {"verb": verb, "concurrently": concurrently, "repeatable": True}


def _create_table(match: Match, statement: str) -> Iterator[Facts]:
    table = name_of(match["table"])
    there = _flag(match, "there")
    yield {"verb": "create_table", "table": table, "repeatable": there}
    rest = statement[match.end() :].lstrip()
    for part in at_commas(in_brackets(rest) or "") if rest.startswith("(") else ():
        if not _TABLE_CONSTRAINT.match(part):
            yield {"verb": "column", "table": table, **_column(part)}


_TABLE_CONSTRAINT = re.compile(
    r"(?i)(CONSTRAINT|PRIMARY\s+KEY|UNIQUE|CHECK|FOREIGN\s+KEY|EXCLUDE|LIKE)\b"
)
_COLUMN = re.compile(
    rf"(?is)(?P<name>{NAME})\s+(?P<type>.+?)(?=\s+(?:NOT\s+NULL|NULL|DEFAULT|PRIMARY|"
    r"UNIQUE|REFERENCES|CHECK|CONSTRAINT|COLLATE|GENERATED)\b|$)(?P<rest>.*)"
)


def _column(text: str) -> Facts:
    """Read a column's definition."""
    match = _COLUMN.match(text)
    if match is None:
        return {}
    rest = match["rest"]
    default = re.search(
        r"(?is)\bDEFAULT\s+(.+?)(?=\s+(?:NOT\s+NULL|NULL|PRIMARY|UNIQUE|REFERENCES|"
        r"CHECK|CONSTRAINT)\b|$)",
        rest,
    )
    return {
        "column": name_of(match["name"]),
        "type_": " ".join(match["type"].lower().split()),
        "nullable": not re.search(r"(?i)\bNOT\s+NULL\b|\bPRIMARY\s+KEY\b", rest),
        "default": default[1].strip() if default else None,
        "primary_key": bool(re.search(r"(?i)\bPRIMARY\s+KEY\b", rest)),
        "generated": bool(re.search(r"(?i)\bGENERATED\b", rest)),
    }


def _dropped(verb: str) -> Callable[[Match, str], Iterator[Facts]]:
    def read(match: Match, statement: str) -> Iterator[Facts]:
        key = "table" if verb in ("drop_table", "truncate") else "name"
        for part in at_commas(statement[match.end() :]):
            named = re.match(rf"(?i)(?:ONLY\s+)?({NAME})", part)
            if named:
                there = "there" in match.re.groupindex and _flag(match, "there")
                yield {"verb": verb, key: name_of(named[1]), "repeatable": there}

    return read


def _written(verb: str) -> Callable[[Match, str], Iterator[Facts]]:
    def read(match: Match, statement: str) -> Iterator[Facts]:
        found = verb
        if verb == "insert" and re.search(r"(?i)\bSELECT\b", statement):
            found = "insert_select"
        yield {"verb": found, "table": name_of(match["table"])}

    return read


def _with(match: Match, statement: str) -> Iterator[Facts]:
    inner = re.search(
        rf"(?i)\b(?:(UPDATE)(?:\s+ONLY)?|(DELETE)\s+FROM|(INSERT)\s+INTO)\s+({NAME})",
        statement,
    )
    if inner is None:
        yield {"verb": "other"}
        return
    verb = "update" if inner[1] else "delete" if inner[2] else "insert_select"
    yield {"verb": verb, "table": name_of(inner[4])}


def _plain(verb: str, **facts: Any) -> Callable[[Match, str], Iterator[Facts]]:
    def read(match: Match, statement: str) -> Iterator[Facts]:
        yield {"verb": verb, **facts}

    return read


def _alter_table(match: Match, statement: str) -> Iterator[Facts]:
    table = name_of(match["table"])
    for action in at_commas(statement[match.end() :]):
        for facts in _action(action):
            yield {"table": table, **facts}


def _action(action: str) -> Iterator[Facts]:
    for pattern, read in _ACTIONS:
        match = pattern.match(action)
        if match is not None:
            yield from read(match, action)
            return
    yield {"verb": "alter_table"}


def _add_column(match: Match, action: str) -> Iterator[Facts]:
    rest = action[match.end() :]
    found = _column(rest)
    yield {"verb": "add_column", "repeatable": _flag(match, "there"), **found}
    column = found.get("column")
    refers = re.search(rf"(?i)\bREFERENCES\s+({NAME})", rest)
    if refers:
        # PostgreSQL checks nothing where all rows are new nulls.
        checked = found.get("default") is not None
        yield {
            "verb": "add_foreign_key",
            "columns": (column,),
            "referred": name_of(refers[1]),
            "not_valid": not checked,
        }
    if re.search(r"(?i)\bUNIQUE\b|\bPRIMARY\s+KEY\b", rest):
        yield {"verb": "add_unique", "columns": (column,)}
    if re.search(r"(?i)\bCHECK\s*\(", rest):
        found = {"check": in_brackets(rest[rest.upper().index("CHECK") :])}
        yield {"verb": "add_check", "column": column, **found}


def _add_constraint(match: Match, action: str) -> Iterator[Facts]:
    kind = " ".join(match["kind"].upper().split())
    rest = action[match.end() :]
    facts: Facts = {
        "name": name_of(match["name"] or "") or None,
        "not_valid": bool(re.search(r"(?i)\bNOT\s+VALID\b", rest)),
        "using_index": bool(re.match(r"(?i)\s*USING\s+INDEX\b", rest)),
    }
    inner = in_brackets(rest) or ""
    if kind == "CHECK":
        yield {"verb": "add_check", "check": inner, **facts}
    elif kind == "FOREIGN KEY":
        refers = re.search(rf"(?i)\bREFERENCES\s+({NAME})\s*(\([^)]*\))?", rest)
        yield {
            "verb": "add_foreign_key",
            "columns": tuple(map(name_of, at_commas(inner))),
            "referred": name_of(refers[1]) if refers else None,
            "referred_columns": tuple(map(name_of, at_commas(refers[2][1:-1])))
            if refers and refers[2]
            else (),
            **facts,
        }
    else:
        verb = {"UNIQUE": "add_unique", "PRIMARY KEY": "add_primary_key"}
        columns = () if facts["using_index"] else tuple(map(name_of, at_commas(inner)))
        yield {"verb": verb.get(kind, "add_exclude"), "columns": columns, **facts}


def _named(verb: str, *keys: str) -> Callable[[Match, str], Iterator[Facts]]:
    """Make a reader that takes groups of the pattern as names."""

    def read(match: Match, action: str) -> Iterator[Facts]:
        there = "there" in match.re.groupindex and _flag(match, "there")
        names = {key: name_of(match[key]) for key in keys}
        yield {"verb": verb, "repeatable": there, **names}

    return read


def _alter_type(match: Match, action: str) -> Iterator[Facts]:
    yield {
        "verb": "alter_type",
        "column": name_of(match["column"]),
        "type_": " ".join(match["type"].lower().split()),
        "using": match["using"],
    }


_THERE = r"(?P<there>IF\s+(?:NOT\s+)?EXISTS\s+)?"
_IS_CONCURRENT = r"(?P<concurrently>CONCURRENTLY\s+)?"

_ACTIONS: list[tuple[re.Pattern[str], Callable[[Match, str], Iterator[Facts]]]] = [
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), read)
    for pattern, read in (
        (rf"RENAME\s+TO\s+(?P<name>{NAME})", _named("rename_table", "name")),
        (r"RENAME\s+CONSTRAINT\b", _plain("other")),
        (
            rf"RENAME\s+(?:COLUMN\s+)?(?P<column>{NAME})\s+TO\s+(?P<name>{NAME})",
            _named("rename_column", "column", "name"),
        ),
        (
            rf"VALIDATE\s+CONSTRAINT\s+(?P<name>{NAME})",
            _named("validate", "name"),
        ),
        (
            rf"DROP\s+CONSTRAINT\s+{_THERE}(?P<name>{NAME})",
            _named("drop_constraint", "name"),
        ),
        (
            rf"DROP\s+(?:COLUMN\s+)?{_THERE}(?P<column>{NAME})",
            _named("drop_column", "column"),
        ),
        (
            rf"ADD\s+(?:CONSTRAINT\s+(?P<name>{NAME})\s+)?"
            r"(?P<kind>CHECK|FOREIGN\s+KEY|UNIQUE|PRIMARY\s+KEY|EXCLUDE)\b",
            _add_constraint,
        ),
        (rf"ADD\s+(?:COLUMN\s+)?{_THERE}", _add_column),
        (
            rf"ALTER\s+(?:COLUMN\s+)?(?P<column>{NAME})\s+SET\s+NOT\s+NULL",
            _named("set_not_null", "column"),
        ),
        (
            rf"ALTER\s+(?:COLUMN\s+)?(?P<column>{NAME})\s+(?:SET\s+DATA\s+)?TYPE\s+"
            r"(?P<type>.+?)(?:\s+COLLATE\s+\S+)?(?:\s+USING\s+(?P<using>.+))?$",
            _alter_type,
        ),
        (
            rf"ALTER\s+(?:COLUMN\s+)?(?P<column>{NAME})\s+",
            _named("alter_column", "column"),
        ),
    )
]

_STATEMENTS: list[tuple[re.Pattern[str], Callable[[Match, str], Iterator[Facts]]]] = [
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), read)
    for pattern, read in (
        (
            rf"CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+{_IS_CONCURRENT}{_THERE}"
            rf"(?P<name>(?!ON\b){NAME}\s+)?ON\s+(?:ONLY\s+)?(?P<table>{NAME})",
            _create_index,
        ),
        (rf"DROP\s+INDEX\s+{_IS_CONCURRENT}{_THERE}", _drop_index),
        (r"REINDEX\b", _reindex),
        (
            r"CREATE\s+(?:GLOBAL\s+|LOCAL\s+)?(?:TEMP(?:ORARY)?\s+|UNLOGGED\s+)?"
            rf"TABLE\s+{_THERE}(?P<table>{NAME})",
            _create_table,
        ),
        (rf"DROP\s+TABLE\s+{_THERE}", _dropped("drop_table")),
        (rf"DROP\s+SCHEMA\s+{_THERE}", _dropped("drop_schema")),
        (rf"DROP\s+DATABASE\s+{_THERE}", _dropped("drop_schema")),
        (rf"DROP\s+TYPE\s+{_THERE}", _dropped("drop_type")),
        (r"TRUNCATE\s+(?:TABLE\s+)?", _dropped("truncate")),
        (
            rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(?P<table>{NAME})"
            r"\s*\*?\s+",
            _alter_table,
        ),
        (
            rf"DELETE\s+FROM\s+(?:ONLY\s+)?(?P<table>{NAME})",
            _written("delete"),
        ),
        (rf"UPDATE\s+(?:ONLY\s+)?(?P<table>{NAME})", _written("update")),
        (rf"INSERT\s+INTO\s+(?P<table>{NAME})", _written("insert")),
        (r"WITH\b", _with),
        (
            r"(?:COMMIT|ROLLBACK|ABORT|BEGIN|END|START\s+TRANSACTION|"
            r"PREPARE\s+TRANSACTION)\b(?!\s+TO\b)",
            _plain("transaction"),
        ),
        (r"SET\s+(?:LOCAL\s+)?lock_timeout\b", _plain("lock_timeout", repeatable=True)),
        (
            r"SET\s+(?:LOCAL\s+|SESSION\s+)?TIME\s*ZONE\s*(?:=|TO)?\s*'?UTC'?",
            _plain("utc", repeatable=True),
        ),
        (
            rf"ALTER\s+TYPE\s+(?P<name>{NAME})\s+ADD\s+VALUE\s+{_THERE}",
            _named("add_enum_value", "name"),
        ),
        (
            rf"ALTER\s+TYPE\s+(?P<column>{NAME})\s+RENAME\s+TO\s+(?P<name>{NAME})",
            _named("rename_type", "column", "name"),
        ),
        (rf"CREATE\s+TYPE\s+(?P<name>{NAME})", _named("create_type", "name")),
    )
]

_HARMLESS = re.compile(
    r"(?i)(SELECT|SHOW|EXPLAIN|VALUES|SET|RESET|GRANT|REVOKE|COMMENT|ANALYZE|ANALYSE|"
    r"SAVEPOINT|RELEASE|NOTIFY|LISTEN|LOCK|ROLLBACK\s+TO|"
    r"CREATE\s+(OR\s+REPLACE\s+)?(EXTENSION|SCHEMA|SEQUENCE|FUNCTION|PROCEDURE|VIEW|"
    r"RECURSIVE\s+VIEW|MATERIALIZED\s+VIEW|TRIGGER|CONSTRAINT\s+TRIGGER|EVENT\s+"
    r"TRIGGER|POLICY|ROLE|USER|DOMAIN|STATISTICS|COLLATION|AGGREGATE|OPERATOR|RULE|"
    r"PUBLICATION|SUBSCRIPTION|CAST|TEXT\s+SEARCH|SERVER|FOREIGN)|"
    r"ALTER\s+(TYPE|EXTENSION|SCHEMA|SEQUENCE|FUNCTION|VIEW|MATERIALIZED|TRIGGER|"
    r"POLICY|ROLE|USER|DOMAIN|DEFAULT|INDEX|DATABASE|PUBLICATION|STATISTICS|COLLATION)|"
    r"DROP\s+(EXTENSION|SEQUENCE|FUNCTION|PROCEDURE|VIEW|MATERIALIZED|TRIGGER|POLICY|"
    r"ROLE|USER|DOMAIN|STATISTICS|COLLATION|AGGREGATE|RULE|PUBLICATION|EVENT)|"
    r"REFRESH)\b"
)
