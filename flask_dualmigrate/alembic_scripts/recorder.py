"""Records what an Alembic script does, without a database.

The script's own code runs, with a recorder in place of `alembic.op` and an empty
database. `alembic.op` is global to the process: only one recorder at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

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

from ..runtime.process_lock import one_script_at_a_time
from ..runtime.user_code import FAILURES, line_running_in
from .empty_database import EmptyDatabase


@dataclass(frozen=True)
class Call:
    """One operation that a script asked for.

    parts: the operation, and the indexes and constraints that its columns declare,
    each as a separate operation. line: in the script; None if it is not known.
    in_transaction: False in an autocommit block.
    """

    operation: ops.MigrateOperation
    parts: tuple[ops.MigrateOperation, ...]
    line: int | None
    in_transaction: bool


@dataclass(frozen=True)
class Recording:
    """What one function of a script does.

    calls: in order. function: its name. error: what it raised; None if it ran to the
    end. reads: its queries to the database, which is empty.
    """

    calls: tuple[Call, ...]
    function: str
    error: str | None
    reads: tuple[str, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """What could not be recorded, in words."""
        found = []
        if self.error is not None:
            found.append(
                f"{self.function}() could not be recorded completely: {self.error}"
            )
        if self.reads:
            query = self.reads[0]
            what = "what there is" if "pg_catalog" in query else query
            found.append(
                f"{self.function}() queries the database ({what}), and "
                "may depend on the answer: check that nothing is missing here."
            )
        return tuple(found)

    @property
    def operations(self) -> tuple[ops.MigrateOperation, ...]:
        """All operations, with those that come with a column listed separately."""
        return tuple(part for call in self.calls for part in call.parts)


def record(module: ModuleType, function: str) -> Recording:
    """Call upgrade() or downgrade() of an Alembic script, and return what it does.

    The script's own code runs, on an empty database. A script without the function,
    or with only `pass` in it, does nothing.
    """
    with Recorder() as recorder:
        return recorder.record(module, function)


class Recorder:
    """Records scripts one after another; it is slow to make, so make one for many.

    A context manager: inside it `alembic.op` is the recorder's, in the whole process.
    """

    def __init__(self) -> None:
        self._database = EmptyDatabase(self._write)
        self._stack = ExitStack()
        self._calls: list[Call] = []
        self._path = ""
        self._in_transaction = True

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(one_script_at_a_time)
            connection = stack.enter_context(self._database.connect())
            script: Any = None
            environment = stack.enter_context(EnvironmentContext(Config(), script))
            environment.configure(connection=connection)
            context: Any = environment.get_context()
            context.autocommit_block = self._autocommit_block
            recorder = _Operations(context)
            recorder.recorder = self
            stack.enter_context(_in_place_of_op(recorder))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def record(self, module: ModuleType, function: str) -> Recording:
        """Call one function of a script, and return what it does."""
        called = getattr(module, function, _nothing)
        self._path = getattr(getattr(called, "__code__", None), "co_filename", "")
        self._calls, self._in_transaction = [], True
        self._database.reads.clear()
        said: str | None = None
        try:
            called()
        # Whatever a script raises, what it did before that was recorded.
        except FAILURES as error:
            said = f"{type(error).__name__}: {error}".partition("\n")[0]
        reads = tuple(self._database.reads)
        return Recording(tuple(self._calls), function, said, reads)

    def take(
        self,
        operation: ops.MigrateOperation,
        parts: Iterable[ops.MigrateOperation] | None = None,
    ) -> None:
        """Record an operation, with the line of the script that asked for it."""
        found = _in_parts(operation) if parts is None else parts
        self._calls.append(
            Call(
                operation,
                tuple(found),
                line_running_in(self._path),
                self._in_transaction,
            )
        )

    def _write(self, statement: str) -> None:
        self.take(ops.ExecuteSQLOp(statement))

    @contextmanager
    def _autocommit_block(self) -> Iterator[None]:
        self._in_transaction = False
        try:
            yield
        finally:
            self._in_transaction = True


def _nothing() -> None:
    """Stand in for a function that a script does not have."""


class _Operations(Operations):
    """Passes operations to a recorder instead of running them."""

    recorder: Recorder

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        if not isinstance(operation, ops.CreateTableOp):
            self.recorder.take(operation)
            return None
        table = operation.to_table(self.migration_context)
        made = ops.CreateTableOp.from_table(table)
        indexes = map(ops.CreateIndexOp.from_index, _by_name(table.indexes))
        self.recorder.take(operation, (made, *indexes))
        return table

    @contextmanager
    def batch_alter_table(  # type: ignore[override]
        self, table_name: str, schema: str | None = None, **_: Any
    ) -> Iterator[BatchOperations]:
        table: Any = _Batch(table_name, schema)
        batch = _BatchOperations(self.migration_context, impl=table)
        batch.recorder = self.recorder
        yield batch


@dataclass(frozen=True)
class _Batch:
    """The object that a batch's operations ask for their table."""

    table_name: str
    schema: str | None


class _BatchOperations(BatchOperations):
    recorder: Recorder

    def invoke(self, operation: ops.MigrateOperation) -> Any:
        self.recorder.take(operation)


@contextmanager
def _in_place_of_op(operations: Operations) -> Iterator[None]:
    """Temporarily put a recorder where scripts find `alembic.op`."""
    proxies = vars(alembic.op)
    before = proxies.get("_proxy")
    proxies["_proxy"] = operations
    try:
        yield
    finally:
        proxies["_proxy"] = before


def _in_parts(op: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    """Yield an added column, and the constraints and indexes that come with it."""
    yield op
    if not isinstance(op, ops.AddColumnOp):
        return
    # A copy: a column that belongs to a table loses its foreign keys when run later.
    alone: Column[Any] = op.column._copy()
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


def foreign_key_op(
    table: str, schema: str | None, key: ForeignKeyConstraint
) -> ops.CreateForeignKeyOp:
    """Return the operation that adds a foreign key; its target may be unknown here."""
    targets = [element.target_fullname for element in key.elements]
    place, _, _ = targets[0].rpartition(".")
    referent_schema, _, referent = place.rpartition(".")
    options = {
        "source_schema": schema,
        "referent_schema": referent_schema or None,
        "ondelete": key.ondelete,
        "onupdate": key.onupdate,
        "deferrable": key.deferrable,
        "initially": key.initially,
        "match": key.match,
    }
    return ops.CreateForeignKeyOp(
        key.name if isinstance(key.name, str) else None,
        table,
        referent,
        list(key.column_keys),
        [target.rpartition(".")[2] for target in targets],
        **{name: value for name, value in options.items() if value is not None},
    )
