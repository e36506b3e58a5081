"""What ends a script's transaction: the version rows, the journal row, our lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection

from ..server.one_step import Move
from ..server.raw import execute_all
from ..server.values import in_sql


def version_table(migration: MigrationContext) -> str:
    """Return the name of the version table in SQL."""
    names = migration.dialect.identifier_preparer
    return str(names.format_table(migration._version)).replace("%%", "%")


def versions_of(migration: MigrationContext) -> str:
    """Return SQL of a JSON text with the rows of the version table."""
    rows = f"SELECT json_agg(version_num)::text FROM {version_table(migration)}"
    return f"({rows})"


def close_script(
    connection: Connection,
    migration: MigrationContext,
    moves: Sequence[Move],
    *,
    before: Sequence[str],
    row: str,
    holds: str,
) -> bool:
    """Write the version rows and the journal row; return whether the lock is ours.

    All of it is one round trip. before: statements to run before that. row: SQL that
    inserts the journal row. holds: an SQL condition: the lock is ours.
    Raises CommandError, as Alembic does, if a version row is not there.
    """
    table = version_table(migration)
    names = [f"moved_{at}" for at in range(len(moves))]
    parts = [
        f"{name} AS ({sql} RETURNING 1)"
        for name, sql in zip(names, _written(table, moves), strict=True)
    ]
    parts.append(f"journal AS ({row})")
    counts = [f"(SELECT count(*) FROM {name})" for name in names]
    last = f"WITH {', '.join(parts)} SELECT {', '.join([*counts, holds])}"
    *found, is_held = execute_all(connection, [*before, last])
    for count, (old, new) in zip(found, moves, strict=True):
        if count != 1:
            raise CommandError(
                f"Online migration expected to match one row when "
                f"{'deleting' if new is None else 'updating'} '{old}'"
                f"{'' if new is None else f' to {new!r}'} in "
                f"'{migration.version_table}'; {count} found"
            )
    return bool(is_held)


def _written(table: str, moves: Sequence[Move]) -> Iterator[str]:
    for old, new in moves:
        to = None if new is None else in_sql(new)
        where = None if old is None else f"WHERE version_num = {in_sql(old)}"
        if where is None:
            yield f"INSERT INTO {table} (version_num) VALUES ({to})"
        elif to is None:
            yield f"DELETE FROM {table} {where}"
        else:
            yield f"UPDATE {table} SET version_num = {to} {where}"
