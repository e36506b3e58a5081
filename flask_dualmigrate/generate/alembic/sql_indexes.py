"""Compare the models' indexes with PostgreSQL's, using Alembic's own comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alembic.operations import ops
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Index, MetaData, UniqueConstraint
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql import quoted_name

from ...indexes import SqlComparison, SqlIndex
from ..tables.state import full_name, sql_of
from ..tables.types import plain_dialect
from ..tables.walk import leaves, table_of
from .index_definitions import LeftOut, with_included
from .propose import propose

_NAME = "dualmigrate_name_of_the_index"


def compare_sql_indexes(
    connection: Connection,
    metadata: MetaData | Sequence[MetaData],
    *,
    options: Mapping[str, Any],
    environment: EnvironmentContext | None = None,
) -> SqlComparison:
    """Compare indexes and unique constraints; ignore all other differences."""
    proposal = propose(connection, metadata, None, options, environment=environment)
    dialect = plain_dialect(connection.dialect)
    operations = list(leaves(proposal.upgrade))
    created = {
        str(table_of(op, dialect))
        for op in operations
        if isinstance(op, ops.CreateTableOp)
    }
    left_out = [line for line in proposal.not_compared if isinstance(line, LeftOut)]
    models = {full_name(item.name, item.schema, dialect) for item in proposal.models}
    return SqlComparison(
        tuple(index for op in operations for index in _added(op, dialect)),
        frozenset(_removed(operations, dialect)),
        frozenset(models - created),
        frozenset(created),
        tuple(f"Not compared: {line}" for line in left_out),
        frozenset(line.place for line in left_out),
    )


def _added(op: Any, dialect: Dialect) -> Iterator[SqlIndex]:
    if isinstance(op, ops.CreateIndexOp):
        yield _index(op.to_index(), dialect)
    elif isinstance(op, ops.CreateUniqueConstraintOp):
        yield _constraint(with_included(op), dialect)
    elif isinstance(op, ops.CreateTableOp):
        for item in op.to_table().constraints:
            if isinstance(item, UniqueConstraint):
                yield _constraint(item, dialect)


def _removed(operations: Sequence[Any], dialect: Dialect) -> Iterator[tuple[str, str]]:
    for op in operations:
        is_constraint = isinstance(op, ops.DropConstraintOp)
        if isinstance(op, ops.DropIndexOp) or is_constraint:
            name = op.constraint_name if is_constraint else op.index_name
            yield str(table_of(op, dialect)), str(name)


def _index(index: Index, dialect: Dialect) -> SqlIndex:
    assert index.table is not None
    name = str(index.name)
    index.name = quoted_name(_NAME, quote=None)
    index.dialect_options["postgresql"]["concurrently"] = True
    before, after = _statement(index, dialect)
    table = full_name(index.table.name, index.table.schema, dialect)
    key = tuple(sql_of(item, dialect) for item in index.expressions)
    return SqlIndex(table, name, key, before, after)


def _constraint(constraint: UniqueConstraint, dialect: Dialect) -> SqlIndex:
    """Return a constraint as the unique index that it is made from."""
    options = {
        name: value
        for name, value in constraint.dialect_kwargs.items()
        if name in ("postgresql_nulls_not_distinct", "postgresql_include") and value
    }
    index = Index(
        _NAME,
        *constraint.columns,
        unique=True,
        postgresql_concurrently=True,
        **options,
    )
    before, after = _statement(index, dialect)
    table = full_name(constraint.table.name, constraint.table.schema, dialect)
    name = str(constraint.name or f"{constraint.table.name}_key")
    words = ""
    if constraint.deferrable:
        words += " DEFERRABLE"
    if constraint.initially:
        words += f" INITIALLY {constraint.initially}"
    key = tuple(str(column.name) for column in constraint.columns)
    return SqlIndex(table, name, key, before, after, words)


def _statement(index: Index, dialect: Dialect) -> tuple[str, str]:
    sql = str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect))
    before, _, after = " ".join(sql.split("\n")).partition(_NAME)
    return before, after
