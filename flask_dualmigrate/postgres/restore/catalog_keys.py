"""The objects of a database, named as pg_dump names them.

The queries use an empty search_path, so that types are written with their schemas.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from ..backup.catalog_terms import APPS, FUNCTION_TAG, not_of_extension
from ..backup.schema_text import Key

_OF_TABLE = (
    " JOIN pg_catalog.pg_class c ON c.oid = {0}"
    f" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {APPS}"
)

_KINDS = (
    "CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'TABLE'"
    " WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'v' THEN 'VIEW'"
    " WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'"
    " WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' END"
)
_PARTS = (
    f"SELECT {_KINDS} AS kind, n.nspname::text AS place, c.relname::text AS tag"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
    f" ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','f','v','m','S','i','I')"
    f" AND {APPS}",
    "SELECT 'CONSTRAINT', n.nspname, c.relname || ' ' || o.conname"
    " FROM pg_catalog.pg_constraint o" + _OF_TABLE.format("o.conrelid"),
    "SELECT 'DEFAULT', n.nspname, c.relname || ' ' || a.attname"
    " FROM pg_catalog.pg_attrdef o JOIN pg_catalog.pg_attribute a"
    " ON a.attrelid = o.adrelid AND a.attnum = o.adnum" + _OF_TABLE.format("o.adrelid"),
    "SELECT 'TRIGGER', n.nspname, c.relname || ' ' || o.tgname"
    " FROM pg_catalog.pg_trigger o" + _OF_TABLE.format("o.tgrelid"),
    "SELECT 'RULE', n.nspname, c.relname || ' ' || o.rulename"
    " FROM pg_catalog.pg_rewrite o" + _OF_TABLE.format("o.ev_class"),
    "SELECT 'POLICY', n.nspname, c.relname || ' ' || o.polname"
    " FROM pg_catalog.pg_policy o" + _OF_TABLE.format("o.polrelid"),
    "SELECT 'PUBLICATION TABLE', n.nspname, p.pubname || ' ' || c.relname"
    " FROM pg_catalog.pg_publication_rel o JOIN pg_catalog.pg_publication p"
    " ON p.oid = o.prpubid" + _OF_TABLE.format("o.prrelid"),
    "SELECT 'STATISTICS', n.nspname, o.stxname FROM pg_catalog.pg_statistic_ext o"
    " JOIN pg_catalog.pg_namespace n ON n.oid = o.stxnamespace",
    "SELECT 'TYPE', n.nspname, t.typname FROM pg_catalog.pg_type t"
    f" JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE {APPS}",
    f"SELECT 'FUNCTION', n.nspname, {FUNCTION_TAG}"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n"
    f" ON n.oid = p.pronamespace WHERE {APPS}",
    "SELECT 'SCHEMA', '-', nspname FROM pg_catalog.pg_namespace",
    "SELECT 'EXTENSION', '-', extname FROM pg_catalog.pg_extension",
    "SELECT 'PUBLICATION', '-', pubname FROM pg_catalog.pg_publication",
    "SELECT 'EVENT TRIGGER', '-', evtname FROM pg_catalog.pg_event_trigger",
)
_PRESENT = sa.text(" UNION ALL ".join(f"({part})" for part in _PARTS))

_TO_DROP = sa.text(
    "SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'"
    " WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,"
    " pg_catalog.format('%I.%I', n.nspname, c.relname)"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
    " ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','f','v','m','S')"
    f" AND {APPS} AND {not_of_extension('c', 'pg_class')}"
    " UNION ALL SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN"
    " 'AGGREGATE' ELSE 'FUNCTION' END, pg_catalog.format('%I.%I(%s)', n.nspname,"
    " p.proname, CASE WHEN p.prokind = 'a' AND p.pronargs = 0 THEN '*' ELSE"
    " pg_catalog.pg_get_function_identity_arguments(p.oid) END)"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n"
    f" ON n.oid = p.pronamespace WHERE {APPS} AND {not_of_extension('p', 'pg_proc')}"
    " UNION ALL SELECT 'TYPE', pg_catalog.format('%I.%I', n.nspname, t.typname)"
    " FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n"
    " ON n.oid = t.typnamespace LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid"
    " WHERE (t.typtype IN ('e','d','r') OR c.relkind = 'c')"
    f" AND {APPS} AND {not_of_extension('t', 'pg_type')}"
)


def present(connection: Connection) -> frozenset[Key]:
    """Return the objects that exist now."""
    return frozenset(
        (str(kind), str(place), str(tag))
        for kind, place, tag in connection.execute(_PRESENT)
    )


def everything(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Return what to drop to empty a database: kind, and quoted name with its schema.

    What belongs to an extension is not included.
    """
    return tuple((str(kind), str(name)) for kind, name in connection.execute(_TO_DROP))
