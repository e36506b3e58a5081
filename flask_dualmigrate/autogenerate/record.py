"""Records what an Alembic script does, without a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import alembic.op
from alembic.config import Config
from alembic.operations import BatchOperations, Operations, ops
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
)

from ..process_lock import one_script_at_a_time
from .empty_database import EmptyDatabase
from .walk import foreign_key_op


@dataclass(frozen=True)
class Recording:
    """What one function of a script does.

    operations: in order; missed: what could not be recorded, in words.
    """

    operations: tuple[ops.MigrateOperation, ...]
    missed: tuple[str, ...]


def record(module: ModuleType, function: str) -> Recording:
    """Call upgrade() or downgrade() of an Alembic script, and return what it does.

    The script's own code runs; it finds an empty database. A script without the
    function, or with a `pass` in it, does nothing.
    """
    recorded: list[ops.MigrateOperation] = []
    database = EmptyDatabase(lambda text: recorded.append(ops.ExecuteSQLOp(text)))
    missed: list[str] = []
    with one_script_at_a_time, _recorder(database, recorded):
        try:
            getattr(module, function, _nothing)()
        except Exception as error:  # Whatever a script raises, the rest was recorded.
            words = f"{type(error).__name__}: {error}".partition("\n")[0]
            missed.append(f"{function}() could not be recorded to its end: {words}")
    if database.reads:
        query = database.reads[0]
        what = "what there is" if "pg_catalog" in query else query
        missed.append(
            f"{function}() asks the database ({what}), and may do what depends on the "
            "answer: see that all of it is here."
        )
    found = tuple(part for op in recorded for part in _in_parts(op))
    return Recording(found, tuple(missed))


def _nothing() -> None:
    """Do what a script does that has no such function."""


class _Recorder(Operations):
    """Takes operations down instead of doing them."""

    recorded: list[ops.MigrateOperation]

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        if not isinstance(operation, ops.CreateTableOp):
            self.recorded.append(operation)
            return None
        table = operation.to_table(self.migration_context)
        self.recorded.append(ops.CreateTableOp.from_table(table))
        self.recorded += map(ops.CreateIndexOp.from_index, _by_name(table.indexes))
        return table

    @contextmanager
    def batch_alter_table(  # type: ignore[override]
        self, table_name: str, schema: str | None = None, **_: Any
    ) -> Iterator[BatchOperations]:
        table: Any = _Batch(table_name, schema)
        batch = _BatchRecorder(self.migration_context, impl=table)
        batch.recorded = self.recorded
        yield batch


@dataclass(frozen=True)
class _Batch:
    """What the operations of a batch ask for the table they are on."""

    table_name: str
    schema: str | None


class _BatchRecorder(BatchOperations):
    recorded: list[ops.MigrateOperation]

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        self.recorded.append(operation)


@contextmanager
def _recorder(
    database: EmptyDatabase, recorded: list[ops.MigrateOperation]
) -> Iterator[None]:
    """Put a recorder where scripts find `alembic.op`, and take it away again."""
    proxies = vars(alembic.op)
    before = proxies.get("_proxy")
    script: Any = None
    with (
        database.connect() as connection,
        EnvironmentContext(Config(), script) as environment,
    ):
        environment.configure(connection=connection)
        recorder = _Recorder(environment.get_context())
        recorder.recorded = recorded
        proxies["_proxy"] = recorder
        try:
            yield
        finally:
            proxies["_proxy"] = before


def _in_parts(op: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    """Yield an added column, and the constraints and indexes that come with it."""
    if not isinstance(op, ops.AddColumnOp):
        yield op
        return
    yield op
    column = op.column
    has_table = getattr(column, "table", None) is not None
    alone: Column[Any] = column._copy() if has_table else column
    table = Table(op.table_name, MetaData(), alone, schema=op.schema)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield ops.CreateUniqueConstraintOp.from_constraint(constraint)
        elif isinstance(constraint, ForeignKeyConstraint):
            yield foreign_key_op(op.table_name, op.schema, constraint)
    for index in table.indexes:
        yield ops.CreateIndexOp.from_index(index)


def _by_name(indexes: Iterable[Index]) -> list[Index]:
    return sorted(indexes, key=lambda index: str(index.name))
