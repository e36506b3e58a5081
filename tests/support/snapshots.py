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


def postgres_snapshot(engine: sa.Engine, *, ours: bool = False) -> dict[str, Any]:
    """Return table -> (columns, keys, indexes, rows); our own if asked."""
    inspector = sa.inspect(engine)
    found = {}
    for name in inspector.get_table_names():
        is_ours = name.startswith("dualmigrate_") or name == "alembic_version"
        if is_ours and not ours:
            continue
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()
        columns = [
            (c["name"], str(c["type"]), c["nullable"], c["default"])
            for c in inspector.get_columns(name)
        ]
        found[name] = (
            sorted(columns),
            inspector.get_pk_constraint(name),
            sorted(map(repr, inspector.get_foreign_keys(name))),
            sorted(map(repr, inspector.get_unique_constraints(name))),
            sorted(map(repr, inspector.get_check_constraints(name))),
            sorted(map(repr, inspector.get_indexes(name))),
            sorted(map(repr, (dict(row._mapping) for row in rows))),
        )
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
