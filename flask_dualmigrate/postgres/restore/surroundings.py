"""What surrounds the tables of a restore: recorded before, and compared after.

Nothing outside of a backup may change. What would be dropped with its tables, and
cannot be restored, is named before anything is dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from ...errors import IntegrityError
from ..backup.catalog_terms import APPS
from ..backup.dependents import Dependent, dependents_of, listed
from ..backup.schema_text import KNOWN, Entry
from .live_tables import LiveTable

_HINT = (
    "Restore a backup that was made with --backup all; or remove that first, "
    "and recreate it afterwards."
)
_OIDS = sa.text(
    "SELECT CAST(name AS regclass)::oid FROM unnest(CAST(:names AS text[])) AS name"
)
_OF = "FROM pg_catalog.pg_{0} o WHERE o.{1} = c.oid"
_COMMENT = "pg_catalog.obj_description(o.oid, 'pg_{0}')"
_LOOK = (
    "SELECT string_agg(pg_catalog.concat_ws(' ', o.attname,"
    " pg_catalog.format_type(o.atttypid, o.atttypmod), o.attnotnull, o.attidentity,"
    " o.attgenerated, o.attcollation, o.attstorage, o.attoptions,"
    " pg_catalog.col_description(c.oid, o.attnum), (SELECT pg_catalog.pg_get_expr("
    "d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = c.oid"
    " AND d.adnum = o.attnum)), ', ' ORDER BY o.attnum) "
    + _OF.format("attribute", "attrelid")
    + " AND o.attnum > 0 AND NOT o.attisdropped",
    "SELECT string_agg(pg_catalog.concat_ws(' ', o.conname, o.convalidated,"
    f" pg_catalog.pg_get_constraintdef(o.oid), {_COMMENT.format('constraint')}), ', '"
    " ORDER BY o.conname) "
    + _OF.format("constraint", "conrelid")
    + " AND o.conparentid = 0",
    "SELECT string_agg(pg_catalog.concat_ws(' ', pg_catalog.pg_get_indexdef("
    "o.indexrelid), o.indisvalid, o.indisclustered, o.indisreplident,"
    " pg_catalog.obj_description(o.indexrelid, 'pg_class')), ', '"
    " ORDER BY pg_catalog.pg_get_indexdef(o.indexrelid)) "
    + _OF.format("index", "indrelid"),
    "SELECT string_agg(pg_catalog.concat_ws(' ', pg_catalog.pg_get_triggerdef(o.oid),"
    f" o.tgenabled, {_COMMENT.format('trigger')}), ', ' ORDER BY o.tgname) "
    + _OF.format("trigger", "tgrelid")
    + " AND NOT o.tgisinternal AND o.tgparentid = 0",
    "SELECT string_agg(pg_catalog.concat_ws(' ', pg_catalog.pg_get_ruledef(o.oid),"
    f" o.ev_enabled, {_COMMENT.format('rewrite')}), ', ' ORDER BY o.rulename) "
    + _OF.format("rewrite", "ev_class"),
    "SELECT string_agg(pg_catalog.concat_ws(' ', o.polname, o.polcmd, o.polpermissive,"
    " o.polroles, pg_catalog.pg_get_expr(o.polqual, c.oid), pg_catalog.pg_get_expr("
    f"o.polwithcheck, c.oid), {_COMMENT.format('policy')}), ', ' ORDER BY o.polname) "
    + _OF.format("policy", "polrelid"),
    "SELECT string_agg(pg_catalog.concat_ws(' ', pg_catalog.pg_get_statisticsobjdef("
    f"o.oid), {_COMMENT.format('statistic_ext')}), ', ' ORDER BY o.stxname) "
    + _OF.format("statistic_ext", "stxrelid"),
    "SELECT string_agg(pg_catalog.concat_ws(' ', p.pubname, pg_catalog.pg_get_expr("
    "o.prqual, c.oid)), ', ' ORDER BY p.pubname) FROM pg_catalog.pg_publication_rel o"
    " JOIN pg_catalog.pg_publication p ON p.oid = o.prpubid WHERE o.prrelid = c.oid",
    "SELECT string_agg(pg_catalog.concat_ws(' ', o.inhrelid::regclass,"
    " pg_catalog.pg_get_expr(h.relpartbound, h.oid)), ', ' ORDER BY"
    " o.inhrelid::regclass::text) FROM pg_catalog.pg_inherits o"
    " JOIN pg_catalog.pg_class h ON h.oid = o.inhrelid WHERE o.inhparent = c.oid",
)
_NAMES = (
    *("columns", "constraints", "indexes", "triggers", "rules", "policies"),
    *("statistics", "publications", "partitions or heirs"),
)
_TABLES = sa.text(
    "SELECT n.nspname AS schema, c.relname AS name, "
    + ", ".join(
        f"({query}) AS {name.split()[0]}"
        for query, name in zip(_LOOK, _NAMES, strict=True)
    )
    + " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
    f" ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND {APPS}"
)

Looks = Mapping[tuple[str, str], tuple[str | None, ...]]
"""Schema and name of a table -> its columns, constraints, …, each as one string."""


@dataclasses.dataclass(frozen=True)
class Around:
    """What is not in a backup and would be dropped with its tables.

    lost: descriptions of what cannot be restored. made_since: descriptions of what did
    not exist at the time of the backup, and holds no rows.
    """

    lost: tuple[str, ...]
    made_since: tuple[str, ...]

    def require_nothing_lost(self) -> None:
        """Raise IntegrityError, naming it, if anything would be lost."""
        if self.lost:
            raise IntegrityError(
                "Not in this backup, and lost if its tables are replaced, because "
                f"it depends on them: {listed(self.lost)}; nothing was changed",
                hint=_HINT,
            )


NOTHING = Around((), ())


def around(
    connection: Connection, doomed: Sequence[LiveTable], entries: Collection[Entry]
) -> Around:
    """Return what would be dropped with tables. entries: what the backup can recreate.

    The search_path must be empty, so that names are as pg_dump writes them.
    """
    names = [table.quoted for table in doomed]
    oids = frozenset(connection.scalars(_OIDS, {"names": names}))
    known = {entry.key for entry in entries}
    lost: list[str] = []
    since: list[str] = []
    for found in dependents_of(connection, "pg_class", oids):
        if found.relid in oids or found.inner_part or _of_view(found):
            continue
        if found.holds_rows or found.key[0] not in KNOWN:
            lost.append(found.said)
        elif found.key not in known:
            part = found.relid is not None and found.relkind in ("r", "p", "f")
            (lost if part else since).append(found.said)
    return Around(_without_parts(lost), tuple(since))


def _of_view(found: Dependent) -> bool:
    """Return whether it is a part of a view, created and dropped with it."""
    return found.relkind in ("v", "m") and not found.kind.endswith("view")


def _without_parts(lost: Sequence[str]) -> tuple[str, ...]:
    """Leave out the parts of what is named as a whole: tables, columns' defaults.

    PostgreSQL describes a part as `column x of table t`, `default value for column x
    of table t`, `constraint c on table t`.
    """
    return tuple(
        said
        for said in lost
        if not any(said != other and said.endswith(f" {other}") for other in lost)
    )


def look(connection: Connection, but: Collection[tuple[str, str]]) -> Looks:
    """Return how all but some tables look. The search_path must be empty."""
    return {
        (schema, name): tuple(parts)
        for schema, name, *parts in connection.execute(_TABLES)
        if (schema, name) not in but
    }


def require_unchanged(before: Looks, after: Looks) -> None:
    """Raise IntegrityError, naming it, if a table outside looks different now."""
    for table, then in before.items():
        now = after.get(table, ())
        changed = [
            noun
            for noun, was, is_now in zip(_NAMES, then, now or then, strict=True)
            if was != is_now
        ]
        if changed or not now:
            what = f"the {changed[0]} of {'.'.join(table)}" if now else ".".join(table)
            raise IntegrityError(
                f"This backup does not contain {'.'.join(table)}, so {what} would "
                "not remain as they are now; nothing was changed",
                hint=_HINT,
            )
