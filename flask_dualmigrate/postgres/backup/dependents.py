"""What depends on some objects of a database: what DROP … CASCADE would drop with them.

Source: PostgreSQL's dependency.c, findDependentObjects, which follows pg_depend.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from .catalog_terms import FUNCTION_TAG
from .schema_text import Key

# Dropping an inner part of another object also drops that object.
_GOING = """
WITH RECURSIVE going(classid, objid, objsubid) AS (
  SELECT CAST(:catalog AS regclass)::oid, oid, 0
  FROM unnest(CAST(:oids AS oid[])) AS oid
  UNION
  SELECT more.* FROM going g CROSS JOIN LATERAL (
    SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = g.classid AND d.refobjid = g.objid
    AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid) AND d.deptype <> 'e'
    UNION ALL
    SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d
    WHERE d.classid = g.classid AND d.objid = g.objid AND d.objsubid = g.objsubid
    AND d.deptype IN ('i', 'e')
  ) AS more
)
"""
# Each with the relation it is a part of, and its own name there.
_PLACES = """
  SELECT coalesce((SELECT d.refobjid FROM pg_catalog.pg_depend d
                   WHERE d.classid = g.classid AND d.objid = g.objid
                   AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
                   AND c.relkind = 'S' LIMIT 1), c.oid) AS relid,
         NULL::name AS part, false AS inner_part
  FROM pg_catalog.pg_class c WHERE g.classid = 'pg_catalog.pg_class'::regclass
  AND c.oid = g.objid AND c.relkind NOT IN ('i', 'I')
  UNION ALL
  SELECT o.indrelid, c.relname, c.relispartition FROM pg_catalog.pg_index o
  JOIN pg_catalog.pg_class c ON c.oid = o.indexrelid
  WHERE g.classid = 'pg_catalog.pg_class'::regclass AND o.indexrelid = g.objid
  UNION ALL
  SELECT nullif(o.conrelid, 0), o.conname, o.conparentid <> 0
  FROM pg_catalog.pg_constraint o
  WHERE g.classid = 'pg_catalog.pg_constraint'::regclass AND o.oid = g.objid
  UNION ALL
  SELECT o.adrelid, a.attname, false FROM pg_catalog.pg_attrdef o
  JOIN pg_catalog.pg_attribute a ON a.attrelid = o.adrelid AND a.attnum = o.adnum
  WHERE g.classid = 'pg_catalog.pg_attrdef'::regclass AND o.oid = g.objid
  UNION ALL
  SELECT o.tgrelid, o.tgname, o.tgisinternal OR o.tgparentid <> 0
  FROM pg_catalog.pg_trigger o
  WHERE g.classid = 'pg_catalog.pg_trigger'::regclass AND o.oid = g.objid
  UNION ALL
  SELECT o.ev_class, o.rulename, false FROM pg_catalog.pg_rewrite o
  WHERE g.classid = 'pg_catalog.pg_rewrite'::regclass AND o.oid = g.objid
  UNION ALL
  SELECT o.polrelid, o.polname, false FROM pg_catalog.pg_policy o
  WHERE g.classid = 'pg_catalog.pg_policy'::regclass AND o.oid = g.objid
  UNION ALL
  SELECT o.prrelid, p.pubname, false FROM pg_catalog.pg_publication_rel o
  JOIN pg_catalog.pg_publication p ON p.oid = o.prpubid
  WHERE g.classid = 'pg_catalog.pg_publication_rel'::regclass AND o.oid = g.objid
  UNION ALL
  SELECT o.stxrelid, o.stxname, false FROM pg_catalog.pg_statistic_ext o
  WHERE g.classid = 'pg_catalog.pg_statistic_ext'::regclass AND o.oid = g.objid
  UNION ALL
  SELECT nullif(greatest(o.typrelid, e.typrelid), 0), NULL,
         o.typrelid <> 0 OR o.typelem <> 0
  FROM pg_catalog.pg_type o LEFT JOIN pg_catalog.pg_type e ON e.oid = o.typelem
  WHERE g.classid = 'pg_catalog.pg_type'::regclass AND o.oid = g.objid
"""
_DEPENDENTS = sa.text(
    _GOING
    + f"""
SELECT i.type AS kind, coalesce(i.schema, n.nspname, '-') AS schema,
       coalesce((SELECT {FUNCTION_TAG} FROM pg_catalog.pg_proc p
                 WHERE g.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = g.objid),
                (SELECT t.typname FROM pg_catalog.pg_type t
                 WHERE g.classid = 'pg_catalog.pg_type'::regclass AND t.oid = g.objid),
                i.name, i.identity) AS name,
       CASE i.type WHEN 'domain constraint' THEN 'constraint ' || i.identity ELSE
       pg_catalog.pg_describe_object(g.classid, g.objid, g.objsubid) END AS said,
       place.relid, n.nspname AS of_schema, c.relname AS of_name, c.relkind,
       place.part, coalesce(place.inner_part, false) AS inner_part
FROM going g
CROSS JOIN LATERAL pg_catalog.pg_identify_object(g.classid, g.objid, g.objsubid) i
LEFT JOIN LATERAL ({_PLACES}) AS place ON true
LEFT JOIN pg_catalog.pg_class c ON c.oid = place.relid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY said
"""
)
_ALIKE = {
    "default value": "DEFAULT",
    "table constraint": "CONSTRAINT",
    "statistics object": "STATISTICS",
    "publication relation": "PUBLICATION TABLE",
    "aggregate": "FUNCTION",
    "procedure": "FUNCTION",
}
_ALONE = ("INDEX", "STATISTICS")
"""Parts of a table that have their own name in its schema."""


@dataclasses.dataclass(frozen=True)
class Dependent:
    """One object that would be dropped. said: as PostgreSQL describes it.

    relid: of the relation that it is, or is a part of; relkind: that relation's kind;
    table: its name. None: there is no such relation. key: as pg_dump names it.
    inner_part: it is created and dropped with another object, which is also returned.
    """

    kind: str
    said: str
    key: Key
    relid: int | None
    relkind: str | None
    table: str | None
    inner_part: bool

    @property
    def holds_rows(self) -> bool:
        """Whether values are dropped with it, which no definition restores."""
        if self.relkind not in ("r", "p", "f", "c"):
            return False
        return self.kind.endswith((" column", "table", "composite type"))


def dependents_of(
    connection: Connection, catalog: str, oids: Collection[int]
) -> tuple[Dependent, ...]:
    """Return all that is dropped if these objects of a catalog are, with CASCADE.

    catalog: such as pg_class. The objects themselves and their parts are included.
    """
    parameters = {"catalog": f"pg_catalog.{catalog}", "oids": sorted(oids)}
    return tuple(
        _dependent(row)
        for row in connection.execute(_DEPENDENTS, parameters)
        if row.relkind != "t"
    )


def _dependent(row: sa.Row[tuple[object, ...]]) -> Dependent:
    kind = _ALIKE.get(row.kind, row.kind.upper())
    schema, name = row.schema, row.name
    if row.part is not None:
        schema, name = row.of_schema, f"{row.of_name} {row.part}"
        if kind in _ALONE:
            name = row.part
        elif kind == "PUBLICATION TABLE":
            name = f"{row.part} {row.of_name}"
    return Dependent(
        row.kind,
        row.said,
        (kind, schema, name),
        row.relid,
        row.relkind,
        row.of_name,
        row.inner_part,
    )


def listed(found: Sequence[str], most: int = 3) -> str:
    """Return names as part of a sentence, with the number of further ones."""
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
