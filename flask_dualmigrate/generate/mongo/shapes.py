"""What each collection's documents look like, according to the Alembic scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.script.base import Script
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.types import TypeEngine

from ...alembic_scripts import record
from ..tables.state import Schema, TableState
from ..tables.types import bson_type, plain_type
from .context import Context
from .naming import Naming
from .translate import replay


@dataclass(frozen=True)
class FieldShape:
    """A field. path: dotted; type_: its column's; bson: its family, as in types.py."""

    path: str
    type_: TypeEngine[Any]
    bson: str
    nullable: bool


@dataclass(frozen=True)
class CollectionShape:
    """A collection that corresponds to a table."""

    collection: str
    fields: tuple[FieldShape, ...]


def collection_shapes(
    scripts: Sequence[Script], *, naming: Naming
) -> tuple[CollectionShape, ...]:
    """Return the shapes that some Alembic scripts leave; no database is queried.

    scripts: oldest first.
    """
    dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
    dialect.default_schema_name = "public"
    context = Context(naming, dialect)
    tables: Schema = {}
    for script in scripts:
        tables = replay(record(script.module, "upgrade").operations, tables, context)
    return tuple(_shapes(tables.values(), context))


def _shapes(tables: Iterable[TableState], context: Context) -> Iterator[Any]:
    for table in tables:
        collection = context.naming.collection(table.name)
        if collection is None:
            continue
        key = table.primary_key
        yield CollectionShape(
            collection,
            tuple(
                FieldShape(
                    context.naming.field(table.name, name, primary_key=key),
                    plain_type(column.type_, context.dialect),
                    bson_type(column.type_, context.dialect).name,
                    column.nullable,
                )
                for name, column in table.columns.items()
            ),
        )
