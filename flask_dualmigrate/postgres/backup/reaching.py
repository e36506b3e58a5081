"""Which code in a database may write to its tables, and what calls that code.

This is derived from the text of functions and from the catalog of dependencies: a
default, a CHECK, a generated column, an index, a policy, a domain, an operator, an
aggregate, a cast or a view may call a function that no statement names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy import Connection

from ...sql.tables import REACHING, Code
from ...sql.words import split
from .dependents import Dependent, dependents_of

# A function in C comes with an extension; those that reach elsewhere are listed here.
_FUNCTIONS = sa.text(r"""
SELECT p.oid, p.proname AS name, l.lanname AS language,
       coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) AS body
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind <> 'a'
AND (l.lanname <> 'c' OR p.proname ~
     '^(dblink|lo_manage$|check_foreign_key$|schedule|unschedule|alter_job$)')
""")
_DOMAINS = sa.text(
    "SELECT contypid FROM pg_catalog.pg_constraint WHERE contypid <> 0 AND"
    " pg_catalog.pg_describe_object('pg_constraint'::regclass, oid, 0) = ANY(:said)"
)
_WRITING = frozenset(
    {
        *("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "COPY", "EXECUTE", "CALL"),
        *("CREATE", "DROP", "ALTER", "REFRESH", "DO", "CLUSTER", "IMPORT", "PREPARE"),
    }
)
_READABLE = ("sql", "plpgsql")
_CALLED_BY_NAME = (
    *("function", "procedure", "aggregate", "view", "materialized view", "type"),
)


@dataclasses.dataclass(frozen=True)
class Reach:
    """Everything that reaches code that may write.

    names, signs: of functions, views, types, tables, and operators. tables: oid ->
    which part of it does so on any use. triggers: likewise, if rows are written.
    anything: what does so without being named in a statement; None: nothing.
    """

    names: frozenset[str] = frozenset()
    signs: frozenset[str] = frozenset()
    tables: Mapping[int, str] = dataclasses.field(default_factory=dict)
    triggers: Mapping[int, str] = dataclasses.field(default_factory=dict)
    anything: str | None = None


def reach_of(connection: Connection, made: Collection[Code]) -> Reach:
    """Follow the code in a database. made: functions that the plan creates."""
    there = [
        (row.oid, Code(row.name, row.language, row.body))
        for row in connection.execute(_FUNCTIONS)
    ]
    found, writing = Reach(), frozenset[int]()
    new = frozenset(code.name for code in made if _may_write(code, found))
    while True:
        found = dataclasses.replace(found, names=found.names | new)
        hit = {(oid, c.name) for oid, c in there if _may_write(c, found)}
        hit |= {(oid, c.name) for oid, c in there if c.name in new}
        more = frozenset(c.name for c in made if _may_write(c, found))
        oids = frozenset(oid for oid, _ in hit)
        if oids <= writing and more <= found.names:
            return found
        writing |= oids
        new |= more | {name for _, name in hit}
        found = _followed(connection, writing, new)


def _may_write(code: Code, found: Reach) -> bool:
    """Return whether a function's text shows that it may write, or call what may."""
    if code.language not in _READABLE:
        return True
    for words in split(code.body):
        known = REACHING | found.names
        if words.is_unread or words.has(*_WRITING) or words.identifiers() & known:
            return True
        if any(sign in run for run in words.signs() for sign in found.signs):
            return True
    return False


def _followed(
    connection: Connection, writing: Collection[int], names: frozenset[str]
) -> Reach:
    """Return what depends on functions that may write, according to the catalog."""
    hanging = dependents_of(connection, "pg_proc", writing)
    said = [each.said.rpartition(" on ")[0] for each in hanging if _is_domains(each)]
    domains = frozenset(connection.scalars(_DOMAINS, {"said": said}))
    hanging += dependents_of(connection, "pg_type", domains)
    found = Reach(names)
    for each in hanging:
        found = _with(found, each)
    return found


def _is_domains(each: Dependent) -> bool:
    return each.kind == "domain constraint"


def _with(found: Reach, each: Dependent) -> Reach:
    name = each.key[2]
    if each.kind == "trigger" and each.relid is not None:
        triggers = {each.relid: each.said, **found.triggers}
        return dataclasses.replace(found, triggers=triggers)
    if each.kind == "operator":
        sign = name.partition("(")[0].rpartition(".")[2]
        return dataclasses.replace(found, signs=found.signs | {sign})
    if each.relid is not None and each.table and each.relkind in ("r", "p", "f"):
        names = found.names | {each.table}
        tables = {each.relid: each.said, **found.tables}
        return dataclasses.replace(found, names=names, tables=tables)
    if each.kind in _CALLED_BY_NAME:
        return dataclasses.replace(found, names=found.names | {name.partition("(")[0]})
    if each.relid is not None or each.inner_part or _is_domains(each):
        return found
    return dataclasses.replace(found, anything=found.anything or each.said)
