"""What `generate` finds, and what it writes for PostgreSQL, without a tree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from flask_dualmigrate.generate import Header, Naming, Pair, compare_models, generate
from flask_dualmigrate.generate.proposals import Comparison

HEADER = Header("abc", (), (), (), "a step", datetime(2026, 1, 2, tzinfo=UTC))


def pair(
    engine: sa.Engine,
    metadata: sa.MetaData,
    *,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Pair:
    """Return the pair that brings a database to these models."""
    naming = Naming(settings.pop("collections", None), settings.pop("fields", None))
    with engine.connect() as connection:
        return generate(
            connection,
            metadata,
            HEADER,
            naming=naming,
            options=options or {},
            **settings,
        )


def run(engine: sa.Engine, source: str, function: str = "upgrade") -> None:
    """Run upgrade() or downgrade() of an Alembic script in one transaction."""
    module = ModuleType("a_script")
    exec(compile(source, "a_script", "exec"), vars(module))
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            getattr(module, function)()


def compared(engine: sa.Engine, metadata: sa.MetaData) -> Comparison:
    """Return how the models differ from a database, and what was not compared."""
    with engine.connect() as connection:
        return compare_models(connection, metadata, options={})


def differing(engine: sa.Engine, metadata: sa.MetaData) -> tuple[str, ...]:
    """Return how the models differ from a database, all of which was compared."""
    found = compared(engine, metadata)
    assert found.not_compared == ()
    return found.differences
