"""The tables that operations touch, as they are in the database.

Alembic has read them all to compare them: what it has is used again, as it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.engine.reflection import _ReflectionInfo

from ..tables.catalog import Catalog

Place = tuple[str | None, str]
"""A table: schema (None for the default one), name."""

_PARTS = (
    *("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints"),
    *("table_comment", "check_constraints", "table_options"),
)


def reflect(catalog: Catalog, wanted: Iterable[Place]) -> tuple[Table, ...]:
    """Return some tables, in order, if the database has them."""
    for column, before in catalog.corrected:
        column.clear()
        column.update(before)
    inspector: Any = catalog.inspector
    by_schema: dict[str | None, list[Place]] = {}
    for schema, name in sorted(wanted, key=lambda place: (place[0] or "", place[1])):
        if name in inspector.get_table_names(schema):
            by_schema.setdefault(schema, []).append((schema, name))
    metadata = MetaData()
    for places in by_schema.values():
        parts = {part: _read(inspector, part, places) for part in _PARTS}
        info = _ReflectionInfo(unreflectable={}, **parts)
        for schema, name in places:
            table = Table(name, metadata, schema=schema)
            inspector.reflect_table(table, None, resolve_fks=False, _reflect_info=info)
    return tuple(metadata.tables.values())


def _read(inspector: Any, part: str, places: list[Place]) -> dict[Place, Any]:
    """Return part of the definition of some tables of one schema."""
    known = inspector.info_cache.get(f"alembic_{part}")
    if isinstance(known, dict) and all(place in known for place in places):
        return {place: _plain(known[place]) for place in places}
    names = [name for _, name in places]
    try:
        found = getattr(inspector, f"get_multi_{part}")(
            places[0][0], filter_names=names
        )
    except NotImplementedError:  # a dialect without them, as SQLite has no comments
        return {}
    return dict(found)


def _plain(found: Any) -> Any:
    """Return what was read with plain names: Alembic marks them as final (`conv`)."""
    if isinstance(found, list):
        return [_plain(item) for item in found]
    if isinstance(found, Mapping) and isinstance(found.get("name"), str):
        return {**found, "name": str(found["name"])}
    return found
