"""The contents of a PostgreSQL database, from its catalogs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from .snapshot import Records, Snapshot, Thing

_OURS = re.compile(r"(^|\.)dualmigrate_")

# For each: kind, name and attributes. Oids differ between databases, so everything is
# identified by name; what an extension created belongs to the extension.
_MEMBER = """EXISTS (SELECT FROM pg_depend x WHERE x.classid = '{0}'::regclass
    AND x.objid = {1} AND x.deptype IN ('e', 'i'))"""
_APPS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_IN_PUBLIC = "CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END"

_THINGS = f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
         WHEN 'f' THEN 'foreign table' ELSE 'table' END,
       {_IN_PUBLIC} || c.relname, jsonb_build_object(
         'persistence', c.relpersistence, 'partition key', pg_get_partkeydef(c.oid),
         'partition', pg_get_expr(c.relpartbound, c.oid), 'options', c.reloptions::text,
         'row security', c.relrowsecurity, 'grants', c.relacl::text,
         'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
         'comment', obj_description(c.oid, 'pg_class'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_APPS}
  AND NOT {_MEMBER.format("pg_class", "c.oid")}
UNION ALL
SELECT 'column', {_IN_PUBLIC} || c.relname || '.' || a.attname, jsonb_build_object(
         'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
         'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity,
         'generated', a.attgenerated,
         'collation', CASE WHEN a.attcollation <> t.typcollation
           THEN a.attcollation::regcollation::text END,
         'comment', col_description(c.oid, a.attnum))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND {_APPS}
  AND NOT {_MEMBER.format("pg_class", "c.oid")}
UNION ALL
SELECT 'constraint', {_IN_PUBLIC} || c.relname || '.' || o.conname, jsonb_build_object(
         'definition', pg_get_constraintdef(o.oid), 'validated', o.convalidated)
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE o.contype <> 'n' AND {_APPS}
UNION ALL
SELECT 'index', {_IN_PUBLIC} || t.relname || '.' || c.relname, jsonb_build_object(
         'definition', pg_get_indexdef(i.indexrelid), 'valid', i.indisvalid,
         'comment', obj_description(c.oid, 'pg_class'))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_APPS} AND NOT EXISTS (SELECT FROM pg_constraint o
  WHERE o.conindid = c.oid AND o.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'enum', {_IN_PUBLIC} || t.typname, jsonb_build_object('labels',
         (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
          FROM pg_enum e WHERE e.enumtypid = t.oid))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND {_APPS} AND NOT {_MEMBER.format("pg_type", "t.oid")}
UNION ALL
SELECT 'domain', {_IN_PUBLIC} || t.typname, jsonb_build_object(
         'type', format_type(t.typbasetype, t.typtypmod), 'nullable', NOT t.typnotnull,
         'default', t.typdefault, 'checks',
         (SELECT string_agg(pg_get_constraintdef(o.oid), ', ' ORDER BY o.conname)
          FROM pg_constraint o WHERE o.contypid = t.oid))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND {_APPS} AND NOT {_MEMBER.format("pg_type", "t.oid")}
UNION ALL
SELECT 'sequence', {_IN_PUBLIC} || c.relname, jsonb_build_object(
         'type', s.seqtypid::regtype::text, 'start', s.seqstart, 'step', s.seqincrement,
         'minimum', s.seqmin, 'maximum', s.seqmax, 'cycles', s.seqcycle,
         'owner', (SELECT x.refobjid::regclass::text || '.' || a.attname
           FROM pg_depend x JOIN pg_attribute a
             ON a.attrelid = x.refobjid AND a.attnum = x.refobjsubid
           WHERE x.objid = c.oid AND x.deptype IN ('a', 'i')
             AND x.classid = 'pg_class'::regclass AND x.refobjsubid > 0))
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_APPS}
UNION ALL
SELECT 'trigger', {_IN_PUBLIC} || c.relname || '.' || g.tgname, jsonb_build_object(
         'definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT g.tgisinternal AND {_APPS}
UNION ALL
SELECT 'function', {_IN_PUBLIC} || p.proname
         || '(' || pg_get_function_identity_arguments(p.oid) || ')',
       jsonb_build_object('definition', CASE WHEN p.prokind IN ('f', 'p')
         THEN pg_get_functiondef(p.oid) ELSE p.prokind::text END)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {_APPS} AND NOT {_MEMBER.format("pg_proc", "p.oid")}
UNION ALL
SELECT 'policy', {_IN_PUBLIC} || c.relname || '.' || p.polname, jsonb_build_object(
         'command', p.polcmd, 'using', pg_get_expr(p.polqual, p.polrelid),
         'check', pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_APPS}
UNION ALL
SELECT 'extension', e.extname::text, jsonb_build_object('version', e.extversion)
FROM pg_extension e
UNION ALL
SELECT 'schema', n.nspname::text, jsonb_build_object('grants', n.nspacl::text)
FROM pg_namespace n WHERE {_APPS}
"""

_KEYS = f"""
SELECT {_IN_PUBLIC} || c.relname, c.oid::regclass::text, n.nspname, c.relname,
       (SELECT array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[],
          a.attnum)) FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid
          AND a.attnum = ANY(i.indkey) WHERE i.indrelid = c.oid AND i.indisprimary)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_APPS}
  AND NOT {_MEMBER.format("pg_class", "c.oid")} ORDER BY 1
"""

_MADE = re.compile(r"nextval\(|\w\(|CURRENT_|LOCALTIME", re.IGNORECASE)


def is_ours(name: str, version_table: str) -> bool:
    """Return whether a name is that of one of our tables, or of a part of one."""
    return bool(_OURS.search(name)) or version_table in name.split(".")


def postgres_snapshot(
    engine: Engine, *, version_table: str = "alembic_version"
) -> Snapshot:
    """Read what the app has there, without our own tables and the version table."""

    with engine.connect() as connection:
        found = connection.exec_driver_sql(_THINGS.replace("%", "%%")).all()
        things: dict[Thing, dict[str, str]] = {
            (kind, name): _shown(attributes)
            for kind, name, attributes in found
            if not is_ours(name, version_table)
        }
        tables = connection.exec_driver_sql(_KEYS.replace("%", "%%")).all()
        records = {
            name: _rows(connection, name, schema, table, key, things)
            for name, _, schema, table, key in tables
            if not is_ours(name, version_table)
        }
    return Snapshot(things, records)


def _shown(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes that have a value, as text."""
    words = {True: "yes", False: "no"}
    return {
        key: words[value] if isinstance(value, bool) else str(value)
        for key, value in attributes.items()
        if value not in (None, "")
    }


def _rows(
    connection: Connection,
    name: str,
    schema: str,
    table: str,
    key: list[str] | None,
    things: Mapping[Thing, Mapping[str, str]],
) -> Records:
    """Read all rows, with values as the server writes them: no driver rounds them."""
    fields = {
        thing.removeprefix(f"{name}."): attributes
        for (kind, thing), attributes in things.items()
        if kind == "column" and thing.startswith(f"{name}.")
    }
    columns = [sa.cast(sa.column(column), sa.Text).label(column) for column in fields]
    if not columns:
        return Records("row", {})
    query = sa.select(*columns).select_from(sa.table(table, schema=schema))
    rows = [dict(row) for row in connection.execute(query).mappings()]
    made = {
        column
        for column, attributes in fields.items()
        if "identity" in attributes or _MADE.search(attributes.get("default", ""))
    }
    by_key = {_key(row, key): row for row in rows} if key else {}
    return Records(
        "row",
        by_key,
        () if key else tuple(rows),
        {column: attributes["type"] for column, attributes in fields.items()},
        frozenset(made),
    )


def _key(row: Mapping[str, Any], key: list[str]) -> str:
    return ", ".join(f"{column}={row[column]}" for column in key)
