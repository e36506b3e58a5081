"""Which tables a plan touches, and their content: its SQL against the catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ...backend import BackupItem, Extent
from ...backups import Scope
from ...revisions import BackendName
from ...sql.names import quote_full
from ...sql.tables import Mentioned
from ...sql.words import Name
from .dependents import dependents_of
from .reaching import reach_of

_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"

_ALL_TABLES = sa.text(f"""
SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND {_OURS}
AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                AND d.objid = c.oid AND d.deptype = 'e')
""")

_NAMED = sa.text("""
SELECT c.oid FROM unnest(CAST(:names AS text[])) AS name
JOIN pg_class c ON c.oid = to_regclass(name)
""")

_NO_TABLES = sa.text("""
SELECT c.relname FROM unnest(CAST(:names AS text[])) AS name
JOIN pg_class c ON c.oid = to_regclass(name) AND c.relkind NOT IN ('r', 'p')
LIMIT 1
""")

_OF_INDEXES = sa.text("""
SELECT i.indrelid FROM unnest(CAST(:names AS text[])) AS name
JOIN pg_index i ON i.indexrelid = to_regclass(name)
""")

_TYPES = sa.text("""
SELECT t.oid FROM unnest(CAST(:names AS text[])) AS name
JOIN pg_type t ON t.oid = to_regtype(name)
""")

_COMPOSITES = sa.text(
    "SELECT reltype FROM pg_class WHERE oid = ANY(CAST(:oids AS oid[]))"
)

# Partitions and child tables hold the rows of their parents; a foreign key passes
# changes to the rows of one table on to another.
_HANGING = sa.text("""
WITH RECURSIVE hit(oid) AS (
  SELECT unnest(CAST(:oids AS oid[]))
  UNION
  SELECT more.oid FROM hit CROSS JOIN LATERAL (
    SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = hit.oid
    UNION ALL
    SELECT conrelid FROM pg_constraint
    WHERE contype = 'f' AND confrelid = hit.oid AND (
      :truncated OR :written AND (confdeltype IN ('c', 'n', 'd')
                                  OR confupdtype IN ('c', 'n', 'd')))
  ) AS more
)
SELECT oid FROM hit
""")

_ODD_STRINGS = sa.text("SELECT current_setting('standard_conforming_strings') = 'off'")

_FACTS = sa.text("""
SELECT c.oid, n.nspname, c.relname, c.relkind, pg_total_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY(CAST(:oids AS oid[])) AND c.relkind IN ('r', 'p')
ORDER BY 2, 3
""")

_RULES = sa.text("""
SELECT c.relname, r.rulename FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE r.ev_class = ANY(CAST(:oids AS oid[])) AND r.ev_type <> '1' LIMIT 1
""")


def extent_of(
    connection: Connection,
    mentioned: Callable[[], Mentioned] | None,
    *,
    journal: Sequence[Name] = (),
) -> Extent:
    """Return which tables a backup must contain, and how much that is.

    mentioned: shows what the SQL of the plan affects; None: the whole database is
    wanted. journal: our own tables.
    """
    catalog = _Catalog(connection)
    own, tables = catalog.named(journal), catalog.oids(_ALL_TABLES)
    if not tables - own:
        return Extent(BackendName.POSTGRES, Scope.TOUCHED, catalog.facts(own, own))
    found = None if mentioned is None else mentioned()
    why = None if found is None else found.why_unknown or catalog.reaching(found)
    if found is None or why is not None:
        items = catalog.facts(tables, own)
        return Extent(BackendName.POSTGRES, Scope.ALL, items, why)
    touched = catalog.touched(found)
    missing = catalog.missing(found.tables)
    return Extent(
        BackendName.POSTGRES,
        Scope.TOUCHED,
        (*catalog.facts(touched | own, own), *missing),
    )


class _Catalog:
    """Queries the catalog of one database through one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def oids(self, query: sa.TextClause, **parameters: Any) -> frozenset[int]:
        return frozenset(self._connection.scalars(query, parameters))

    def named(self, names: Iterable[Name]) -> frozenset[int]:
        """Return the existing tables among these names."""
        return self.oids(_NAMED, names=[*map(quote_full, names)])

    def touched(self, found: Mentioned) -> frozenset[int]:
        """Return the named tables, and those that depend on them."""
        oids = (
            self.named(found.tables)
            | self.oids(_OF_INDEXES, names=[*map(quote_full, found.indexes)])
            | self._hanging("pg_class", self.named(found.cascaded))
            | self._hanging(
                "pg_type", self.oids(_TYPES, names=[*map(quote_full, found.types)])
            )
        )
        return self.oids(
            _HANGING,
            oids=sorted(oids),
            written=bool(found.written),
            truncated=found.truncated,
        )

    def reaching(self, found: Mentioned) -> str | None:
        """Return why more may be touched than is named; None if nothing more is."""
        if self._connection.scalar(_ODD_STRINGS):
            return "standard_conforming_strings is off"
        reach = reach_of(self._connection, found.made)
        if reach.anything is not None:
            return f"{reach.anything} may write to any table"
        for name in sorted(found.names & reach.names):
            return f"{name} of this database may write to any table"
        for sign in sorted(reach.signs):
            if any(sign in run for run in found.signs):
                return f"the operator {sign} of this database may write to any table"
        if not found.written:
            return None
        names = [*map(quote_full, found.written)]
        view = self._connection.scalar(_NO_TABLES, {"names": names})
        if view is not None:
            return f"{view} is not a table, and what is written to it ends up elsewhere"
        oids = sorted(self.touched(found))
        for oid in oids:
            said = reach.tables.get(oid) or reach.triggers.get(oid)
            if said is not None:
                return f"the {said} may write to other tables"
        rule = self._connection.execute(_RULES, {"oids": oids}).first()
        if rule is not None:
            return f"the rule {rule[1]} of {rule[0]} may write to other tables"
        return None

    def _hanging(self, catalog: str, oids: frozenset[int]) -> frozenset[int]:
        """Return the tables that lose or change something with these objects."""
        found = dependents_of(self._connection, catalog, oids)
        within = {each.relid for each in found if each.relid and each.relkind == "c"}
        types = self.oids(_COMPOSITES, oids=sorted(within))
        more = self._hanging("pg_type", types) if types - oids else frozenset()
        return more | frozenset(
            each.relid
            for each in found
            if each.relid is not None and each.relkind in ("r", "p")
        )

    def facts(
        self, oids: frozenset[int], own: frozenset[int]
    ) -> tuple[BackupItem, ...]:
        """Return facts about tables; those of the journal do not belong to the app."""
        rows = self._connection.execute(_FACTS, {"oids": sorted(oids)}).all()
        return tuple(
            BackupItem(
                schema=schema,
                name=name,
                size_bytes=size_bytes,
                is_empty=kind == "p" or not self._has_rows(schema, name),
                own=oid in own,
            )
            for oid, schema, name, kind, size_bytes in rows
        )

    def _has_rows(self, schema: str, name: str) -> bool:
        table = quote_full((schema, name)).replace("%", "%%")
        query = f"SELECT EXISTS (SELECT 1 FROM ONLY {table})"
        return bool(self._connection.exec_driver_sql(query).scalar_one())

    def missing(self, names: Iterable[Name]) -> tuple[BackupItem, ...]:
        """Return the named tables that do not exist: the plan creates them."""
        schema = self._connection.scalar(sa.text("SELECT current_schema()")) or "public"
        there = sa.text("SELECT to_regclass(:name) IS NOT NULL")
        return tuple(
            BackupItem(schema=of or schema, name=name, existed=False)
            for of, name in sorted(names, key=str)
            if not self._connection.scalar(there, {"name": quote_full((of, name))})
        )
