"""What PostgreSQL reports about indexes: pg_index, pg_stat_user_indexes, sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from ...indexes import FoundIndex, State
from ...revisions import BackendName

_QUERY = """
SELECT n.nspname AS schema, t.relname AS table, i.relname AS name, a.amname AS method,
       x.indisunique AS is_unique, x.indisprimary AS is_primary,
       x.indisvalid OR i.relkind = 'I' AS is_valid,
       p.index_relid IS NOT NULL AS is_building,
       pg_get_indexdef(i.oid) AS definition,
       pg_get_expr(x.indpred, x.indrelid) AS where,
       ARRAY(SELECT pg_get_indexdef(i.oid, k, true)
             FROM generate_series(1, x.indnkeyatts) k ORDER BY k) AS keys,
       ARRAY(SELECT pg_get_indexdef(i.oid, k, true)
             FROM generate_series(x.indnkeyatts + 1, x.indnatts) k ORDER BY k) AS more,
       ARRAY(SELECT (o & 1) = 1 FROM unnest(x.indoption) o) AS descending,
       pg_relation_size(i.oid) AS size_bytes, s.idx_scan AS uses, {last_used},
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database())
           AS since,
       c.conname AS constraint, c.contype AS constraint_type
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_am a ON a.oid = i.relam
LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.oid
LEFT JOIN pg_stat_progress_create_index p ON p.index_relid = i.oid
LEFT JOIN pg_constraint c
    ON c.conindid = i.oid AND c.conrelid = t.oid AND c.contype IN ('p', 'u', 'x')
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, t.relname, i.relname
"""

_LAST_USED_SINCE = 160000
"""The first server_version_num with pg_stat_user_indexes.last_idx_scan."""


def read(connection: Connection, *, ours: Iterable[str]) -> tuple[FoundIndex, ...]:
    """Return the indexes of all tables except our own.

    ours: names of tables, besides those that begin with "dualmigrate_".
    """
    version = connection.execute(sa.text("SHOW server_version_num")).scalar_one()
    has_last_used = int(version) >= _LAST_USED_SINCE
    last_used = "s.last_idx_scan AS last_used" if has_last_used else "NULL AS last_used"
    query = _QUERY.format(last_used=last_used).replace("\\_", r"\_")
    rows = connection.exec_driver_sql(query.replace("%", "%%")).mappings()
    default = connection.dialect.default_schema_name
    skipped = set(ours)
    return tuple(
        _found(dict(row), default)
        for row in rows
        if row["table"] not in skipped and not row["table"].startswith("dualmigrate_")
    )


def _found(row: Mapping[str, Any], default: str | None) -> FoundIndex:
    place = (
        row["table"] if row["schema"] == default else f"{row['schema']}.{row['table']}"
    )
    ways = [-1 if down else 1 for down in row["descending"]]
    # An index that is not a btree has no order; its indoption is 0.
    key = tuple(zip(row["keys"], ways, strict=False))
    state = State.READY if row["is_valid"] else State.INVALID
    return FoundIndex(
        BackendName.POSTGRES,
        place,
        row["name"],
        key,
        _options(row),
        State.BUILDING if row["is_building"] and not row["is_valid"] else state,
        size_bytes=row["size_bytes"],
        uses=row["uses"],
        since=row["since"],
        last_used=row["last_used"],
        constraint=row["constraint"],
    )


def _options(row: Mapping[str, Any]) -> dict[str, Any]:
    method = None if row["method"] == "btree" else row["method"]
    options = {
        "primary_key": row["is_primary"],
        "unique": row["is_unique"] and not row["is_primary"],
        "method": method,
        "include": list(row["more"]),
        "nulls_not_distinct": "NULLS NOT DISTINCT" in row["definition"],
        "where": row["where"],
        "definition": row["definition"],
    }
    return {name: value for name, value in options.items() if value}
