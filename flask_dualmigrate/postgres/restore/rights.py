"""Reading the privileges on a database's objects, and restoring them exactly.

What a restore recreates gets the default privileges, which may give a role what had
been revoked from it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy import Connection

from ..backup.catalog_terms import APPS
from ..server.raw import execute
from .live_tables import try_to

_JOIN = " JOIN pg_catalog.pg_namespace n ON n.oid = "
_THINGS = f"""
  SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, '' AS field,
    c.relowner AS owner, c.relacl AS acl, CASE c.relkind WHEN 'S' THEN 's'
    ELSE 'r' END AS letter
  FROM pg_catalog.pg_class c{_JOIN}c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {APPS}
  UNION ALL SELECT 'TABLE', pg_catalog.format('%I.%I', n.nspname, c.relname),
    pg_catalog.quote_ident(a.attname), c.relowner, a.attacl, 'c'
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid{_JOIN}
    c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0
    AND NOT a.attisdropped AND {APPS}
  UNION ALL SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
    pg_catalog.format('%I.%I(%s)', n.nspname, p.proname,
      pg_catalog.pg_get_function_identity_arguments(p.oid)), '', p.proowner, p.proacl,
    'f'
  FROM pg_catalog.pg_proc p{_JOIN}p.pronamespace WHERE {APPS}
  UNION ALL SELECT 'TYPE', pg_catalog.format('%I.%I', n.nspname, t.typname), '',
    t.typowner, t.typacl, 'T'
  FROM pg_catalog.pg_type t{_JOIN}t.typnamespace LEFT JOIN pg_catalog.pg_class c
    ON c.oid = t.typrelid
  WHERE {APPS} AND t.typtype IN ('e', 'd', 'r', 'c')
    AND (c.oid IS NULL OR c.relkind = 'c')
  UNION ALL SELECT 'SCHEMA', pg_catalog.quote_ident(n.nspname), '', n.nspowner,
    n.nspacl, 'n'
  FROM pg_catalog.pg_namespace n WHERE {APPS}
"""
_RIGHTS = sa.text(
    f"""
SELECT kind, name, field, grants.by_default, quote_ident(o.rolname) AS owner,
  CASE WHEN grants.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(t.rolname) END AS grantee,
  grants.privilege_type AS privilege, grants.is_grantable AS grantable,
  quote_ident(f.rolname) AS grantor
FROM ({_THINGS}) AS things
LEFT JOIN LATERAL (
  SELECT false AS by_default, a.* FROM pg_catalog.aclexplode(coalesce(acl,
    CASE WHEN letter <> 'c' THEN pg_catalog.acldefault(letter::"char", owner) END)) a
  UNION ALL
  SELECT true, a.* FROM pg_catalog.aclexplode(
    CASE WHEN letter <> 'c' THEN pg_catalog.acldefault(letter::"char", owner) END) a
) AS grants ON true
LEFT JOIN pg_catalog.pg_roles o ON o.oid = things.owner
LEFT JOIN pg_catalog.pg_roles t ON t.oid = grants.grantee
LEFT JOIN pg_catalog.pg_roles f ON f.oid = grants.grantor
""".replace(":", "\\:")
)

Thing = tuple[str, str, str]
"""Kind, quoted name, and the quoted name of the column, if any."""


@dataclasses.dataclass(frozen=True)
class Grant:
    """One privilege of a role. grantable: it may grant it to others."""

    grantee: str
    privilege: str
    grantable: bool
    grantor: str


@dataclasses.dataclass(frozen=True)
class Rights:
    """The privileges on one object. plain: the initial ones of its owner and PUBLIC."""

    owner: str
    granted: frozenset[Grant]
    plain: frozenset[Grant]


def read_rights(connection: Connection) -> dict[Thing, Rights]:
    """Return what is granted on a database's objects, except PostgreSQL's own."""
    owners: dict[Thing, str] = {}
    grants: dict[tuple[Thing, bool], set[Grant]] = defaultdict(set)
    for row in connection.execute(_RIGHTS):
        thing = (row.kind, row.name, row.field)
        owners[thing] = row.owner
        if row.grantee is not None:
            grant = Grant(row.grantee, row.privilege, row.grantable, row.grantor)
            grants[thing, row.by_default].add(grant)
    return {
        thing: Rights(
            owner, frozenset(grants[thing, False]), frozenset(grants[thing, True])
        )
        for thing, owner in owners.items()
    }


def make_plain(connection: Connection, but: Collection[Thing]) -> None:
    """Revoke what default privileges gave on new objects. but: those not new."""
    now = read_rights(connection)
    for thing, rights in now.items():
        if thing not in but:
            _set(connection, thing, rights, rights.plain)


def put_back(connection: Connection, before: Mapping[Thing, Rights]) -> None:
    """Grant on the former objects exactly what was granted then."""
    # What is revoked on a table is revoked on its columns too: they come after it.
    for of_columns in (False, True):
        for thing, rights in read_rights(connection).items():
            if thing in before and bool(thing[2]) is of_columns:
                _set(connection, thing, rights, before[thing].granted)


def _set(
    connection: Connection, thing: Thing, now: Rights, wanted: frozenset[Grant]
) -> None:
    if now.granted == wanted:
        return
    kind, name, field = thing
    place = f"({field}) ON {kind} {name}" if field else f" ON {kind} {name}"
    for grant in sorted(now.granted - wanted, key=str):
        sql = f"REVOKE {grant.privilege}{place} FROM {grant.grantee} CASCADE"
        execute(connection, sql)
    # The owner first, then those who have it from the owner and may pass it on.
    for grant in sorted(wanted, key=lambda each: (not each.grantable, str(each))):
        option = " WITH GRANT OPTION" if grant.grantable else ""
        sql = f"GRANT {grant.privilege}{place} TO {grant.grantee}{option}"
        if grant.grantor == now.owner or not _as_role(connection, grant.grantor, sql):
            execute(connection, sql)


def _as_role(connection: Connection, role: str, sql: str) -> bool:
    """Grant as the role that had granted it; False if we may not become that role."""
    ours = connection.scalar(sa.text("SELECT current_setting('role')"))
    become = f"SET LOCAL ROLE {role}; {sql}"
    done = try_to(connection, become, unless=("42501", "0LP01", "22023"))
    connection.execute(sa.select(sa.func.set_config("role", ours, True)))
    return done
