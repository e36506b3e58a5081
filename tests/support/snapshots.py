"""What both databases hold, byte for byte, to compare before and after."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

OURS = ("_migrations", "_aside_")


def mongo_snapshot(db: Database[Any], *, ours: bool = False) -> dict[str, Any]:
    """Return collection -> (options, indexes, raw documents); our own if asked."""
    raw = CodecOptions(document_class=RawBSONDocument)
    found: dict[str, Any] = {}
    for info in db.list_collections():
        name = info["name"]
        if name.startswith(OURS) and not ours:
            continue
        if info["type"] == "view":
            found[name] = (info["options"], [], [])
            continue
        documents = db.get_collection(name, codec_options=raw).find().sort("_id")
        found[name] = (
            info["options"],
            sorted(db[name].index_information().items()),
            [document.raw for document in documents],
        )
    return found


_TABLES = sa.text("""
SELECT relname,
  ARRAY(
    SELECT concat_ws(
      ' ', quote_ident(attname), format_type(atttypid, atttypmod), attnotnull,
      attidentity::text, attgenerated::text, pg_get_expr(adbin, adrelid)
    )
    FROM pg_attribute
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped ORDER BY attname
  ),
  ARRAY(
    SELECT conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint  -- NOT NULL is said of its column
    WHERE conrelid = pg_class.oid AND contype <> 'n' ORDER BY conname
  ),
  ARRAY(
    SELECT concat(indisvalid, ' ', pg_get_indexdef(indexrelid))
    FROM pg_index WHERE indrelid = pg_class.oid ORDER BY indexrelid::regclass::text
  )
FROM pg_class
WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
ORDER BY relname
""")


def postgres_snapshot(engine: sa.Engine, *, ours: bool = False) -> dict[str, Any]:
    """Return table -> (columns, constraints, indexes, rows); our own if asked."""
    found = {}
    with engine.connect() as connection:
        for name, *parts in connection.execute(_TABLES).all():
            is_ours = name.startswith("dualmigrate_") or name == "alembic_version"
            if is_ours and not ours:
                continue
            rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"').mappings()
            found[name] = (*parts, sorted(repr(dict(row)) for row in rows))
    return found


def stamps(engine: sa.Engine, db: Database[Any]) -> tuple[list[str], list[str]]:
    """Return where each side stands: version rows, and applied ids in `_migrations`."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            rows = []
        else:
            query = sa.text("SELECT version_num FROM alembic_version ORDER BY 1")
            rows = list(connection.execute(query).scalars())
    applied = db["_migrations"].find({"status": "applied"}).sort("_id")
    return rows, [doc["_id"] for doc in applied]
