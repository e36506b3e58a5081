"""Recording an Alembic script's operations and their SQL, without a database."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from alembic.operations import MigrateOperation, Operations
from alembic.runtime.migration import MigrationContext
from alembic.script.base import Script

from ... import alembic_scripts
from ...revisions import Direction
from ...runtime.process_lock import one_script_at_a_time
from ...sql.literals import write_values
from ..server.alembic_env import NAMED

NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Recorded:
    """What one function of a script does.

    operations: Alembic's, in order; the indexes and constraints that come with a column
    are also listed separately. statements: their SQL, without the last semicolon.
    missed: why this is not all of it: the script queries the database, raises an
    error, or does something that has no SQL without a connection; None if it is all.
    """

    operations: tuple[MigrateOperation, ...]
    statements: tuple[str, ...]
    missed: str | None


def record(
    script: Script,
    direction: Direction,
    *,
    dialect_name: str = "postgresql",
    options: Mapping[str, Any] = NO_OPTIONS,
) -> Recorded:
    """Record upgrade() or downgrade() of a script as if on an empty database.

    options: the app's arguments for Alembic's configure().
    """
    found = alembic_scripts.record(script.module, direction)
    operations = [call.operation for call in found.calls]
    statements, unsaid = _sql_of(operations, dialect_name, options)
    missed = [*found.missed, *unsaid]
    return Recorded(found.operations, statements, missed[0] if missed else None)


def _sql_of(
    operations: Sequence[MigrateOperation],
    dialect_name: str,
    options: Mapping[str, Any],
) -> tuple[tuple[str, ...], list[str]]:
    """Return the SQL of operations, and why that of some is not known."""
    statements: list[str] = []
    unsaid: list[str] = []
    context = MigrationContext.configure(
        dialect_name=dialect_name,
        dialect_opts=NAMED,
        opts={
            **options,
            "as_sql": True,
            "output_buffer": io.StringIO(),
            "literal_binds": True,
        },
    )
    write_values(context.impl.dialect)
    context.impl.static_output = lambda text: statements.append(_bare(text))  # type: ignore[method-assign]
    with one_script_at_a_time:
        for operation in operations:
            try:
                Operations(context).invoke(operation)
            # A value without a literal, an operation that reads: the rest still counts.
            except Exception as error:
                words = f"{type(error).__name__}: {error}".partition("\n")[0]
                name = type(operation).__name__
                unsaid.append(f"{name} has no SQL without a connection: {words}")
    return tuple(statements), unsaid


def _bare(statement: str) -> str:
    return statement.strip().rstrip(";").rstrip()
