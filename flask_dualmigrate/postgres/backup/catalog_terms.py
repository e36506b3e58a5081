"""Terms of the queries of PostgreSQL's catalogs that several of them need."""

from __future__ import annotations

APPS = "n.nspname !~ '^pg_(catalog|toast|temp)' AND n.nspname <> 'information_schema'"
"""The pg_namespace n is not one of PostgreSQL's own."""

FUNCTION_TAG = (
    "p.proname || '(' || coalesce((SELECT string_agg("
    "pg_catalog.format_type(a.type, NULL), ', ' ORDER BY a.place)"
    " FROM unnest(p.proargtypes) WITH ORDINALITY AS a(type, place)),"
    " CASE p.prokind WHEN 'a' THEN '*' ELSE '' END) || ')'"
)
"""The pg_proc p as pg_dump names it."""


def not_of_extension(alias: str, catalog: str) -> str:
    """Return the condition that no extension has made, and manages, a row's object."""
    return (
        "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'"
        f" AND d.objid = {alias}.oid AND d.classid = 'pg_catalog.{catalog}'::regclass)"
    )
