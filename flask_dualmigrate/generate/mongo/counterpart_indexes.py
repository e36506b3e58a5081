"""The indexes that MongoDB should have for the models, as autogenerate writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from alembic.script.base import Script
from sqlalchemy import Index, MetaData, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect

from ...alembic_scripts import record
from ...alembic_scripts.hooks import Included
from ...indexes import DeclaredIndex, DeclaredIndexes
from ..tables.state import Schema, TableState, schema_of
from ..tables.types import plain_dialect
from .context import Context, Untranslatable
from .indexes import Spec, Unknown, project
from .naming import Naming
from .translate import replay


def counterparts(
    metadata: MetaData | Sequence[MetaData],
    *,
    naming: Naming,
    included: Included = lambda item: True,
) -> DeclaredIndexes:
    """Return the counterparts of the models' indexes and unique constraints.

    included: returns whether a table, index or unique constraint counts.
    No database is queried. notes: the indexes without a counterpart in MongoDB.
    """
    each = [metadata] if isinstance(metadata, MetaData) else metadata
    tables = [
        _without(table, included)
        for item in each
        for table in item.tables.values()
        if included(table)
    ]
    plain = plain_dialect(postgres_dialect())
    context = Context(naming, plain)
    states = schema_of(tables, plain).values()
    return _of_tables(states, context)


def _without(table: Table, included: Included) -> Table:
    """Return a table without the indexes and unique constraints that do not count."""
    items = [*table.indexes, *table.constraints]
    left_out = [
        item
        for item in items
        if isinstance(item, Index | UniqueConstraint) and not included(item)
    ]
    if not left_out:
        return table
    copy = table.to_metadata(MetaData())
    names = {item.name for item in left_out}
    copy.indexes = {item for item in copy.indexes if item.name not in names}
    copy.constraints = {item for item in copy.constraints if item.name not in names}
    return copy


def script_counterparts(
    scripts: Sequence[Script | ModuleType], *, naming: Naming
) -> DeclaredIndexes:
    """Return what autogenerate would have written for some Alembic scripts' tables.

    scripts: oldest first; they run without a database.
    """
    context = Context(naming, postgres_dialect())
    tables: Schema = {}
    for script in scripts:
        module = script if isinstance(script, ModuleType) else script.module
        tables = replay(record(module, "upgrade").operations, tables, context)
    return _of_tables(tables.values(), context)


def _of_tables(tables: Iterable[TableState], context: Context) -> DeclaredIndexes:
    found = [_of_table(state, context) for state in tables]
    return DeclaredIndexes(
        tuple(index for item in found for index in item.indexes),
        tuple(note for item in found for note in item.notes),
    )


def postgres_dialect() -> Dialect:
    """Return the dialect used to read scripts; it needs no driver."""
    make: Any = PGDialect
    dialect: Dialect = make(paramstyle="named")
    dialect.default_schema_name = "public"
    return dialect


def _of_table(table: TableState, context: Context) -> DeclaredIndexes:
    try:
        collection = context.collection(table.name)
    except Untranslatable as error:
        return DeclaredIndexes(notes=(str(error),))
    if collection is None:
        return DeclaredIndexes()
    projected = project(table, context)
    specs = {name: item for name, item in projected.items() if isinstance(item, Spec)}
    unknown = [item.text for item in projected.values() if isinstance(item, Unknown)]
    source = (f"the models ({table.name})",)
    return DeclaredIndexes(
        tuple(
            DeclaredIndex(collection, name, spec.keys, spec.options, source)
            for name, spec in specs.items()
        ),
        tuple(unknown),
    )
